/* plan_file.h: what reading and writing a file of a plan share (its form: refrain/plan.h). */
#ifndef RF_IO_PLAN_FILE_H
#define RF_IO_PLAN_FILE_H

enum {
    RF_PLAN_FILE_MOST = 16 << 20, /* bytes of a file            */
    RF_PLAN_PARTS_MOST = 1 << 16, /* parts, points of the curve */
    RF_PLAN_PATH_MOST = 511,      /* bytes of a module's path   */
    RF_PLAN_NAME_MOST = 63,       /* bytes of a dial's name     */
    RF_PLAN_FATES_MOST = 64 << 10 /* bytes of a part's fates    */
};

/* Of a number of children; a container has fewer. */
#define RF_PLAN_CHILDREN_MOST UINT64_C(0x7FFFFFFF)
/* Of bytes that a dial keeps; more means other things to it. */
#define RF_PLAN_DIAL_MOST UINT64_C(0x7FFFFFFFFFFFFFFF)
/* Eleven days: no step of ours. */
#define RF_PLAN_MOST_NS UINT64_C(1000000000000000)

#endif
