/* clock.h: seconds on the system's clock that only goes forward. What is shown as the time of a run
 * asks rf_clock (tensor/trace.h), which a dry run has its own of. */
#ifndef RF_BASE_CLOCK_H
#define RF_BASE_CLOCK_H

double rf_seconds(void);

#endif
