/* Commands on a Unix socket, a line each, every one answered by one line of JSON:
 *   stats [NAME]                 counters of all streams together, or of one
 *   streams                      counters of every stream
 *   set NAME|* KNOB VALUE        changes a stream's behaviour
 *   do NAME|* ACTION [ARGUMENT]  does something once to its sessions
 *   reset NAME|*                 counters to zero, knobs back to how they were at the start
 *   truth NAME TRACK FILE        writes what the track's access units are (truth.h)
 *   log NAME FILE | log          logs frames sent by streams whose name begins so; ends it
 *   quit */
#ifndef CAMERA_CONTROL_H
#define CAMERA_CONTROL_H

#include "common/base/span.h"

void control_listen(const char *path); /* ends the program on errors */
void control_done(void);

#endif
