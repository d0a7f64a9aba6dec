/* refrain.h: everything. */
#ifndef REFRAIN_REFRAIN_H
#define REFRAIN_REFRAIN_H

#include <refrain/base.h>
#include <refrain/memory.h>
#include <refrain/trace.h>
#include <refrain/tensor.h>
#include <refrain/ops.h>
#include <refrain/grad.h>
#include <refrain/module.h>
#include <refrain/checkpoint.h>
#include <refrain/explain.h>
#include <refrain/predict.h>
#include <refrain/costs.h>
#include <refrain/plan.h>
#include <refrain/problem.h>
#include <refrain/nn.h>
#include <refrain/optim.h>
#include <refrain/data.h>
#include <refrain/io.h>
#include <refrain/extend.h>

#endif
