/* What worker, connector, keeper and httpd are told of a stream: the messages, from its configuration. Nobody
 * is told who does not run. */
#ifndef MASTER_TELL_H
#define MASTER_TELL_H

struct stream;

void tell_settings(struct stream *s);    /* STREAM to its worker, which must run */
void tell_camera_free(struct stream *s); /* CAMERA_FREE to its worker, if there is one */
void tell_view(struct stream *s);        /* VIEW to httpd */
void tell_connector(struct stream *s);   /* a socket between worker and connector; both get an end */
void tell_keeper(struct stream *s);      /* and one between worker and keeper, where it is recorded */
void tell_keeping(struct stream *s);     /* KEEP_STREAM to the keeper */
void tell_gone(struct stream *s);        /* to all three services */

#endif
