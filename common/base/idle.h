/* Work that may wait for everything else: this process takes the processor and the disk only when nobody
 * else wants them (SCHED_IDLE, the idle class of ioprio_set(2), oom_score_adj 500). What cannot be set stays
 * as it is. */
#ifndef BASE_IDLE_H
#define BASE_IDLE_H

void idle_become(void);

#endif
