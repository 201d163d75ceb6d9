/*
 * broker - the process that plays Kafka: librdkafka's mock cluster
 *
 * The four topics, one broker, on loopback. What it cannot do (transactions with offsets, more than 5 MiB a partition,
 * creating topics by request) is told in handoff-sandbox(1). A process of its own: an assertion that fails inside the
 * mock must not take the simulator along.
 */
#ifndef SANDBOX_BROKER_H
#define SANDBOX_BROKER_H

#include "sandbox/child.h"

/* Serves until `parent` says stop. Reports to it. Returns the exit code. */
int broker_run(int partitions, struct child_side *parent);

#endif
