/*
 * witness - who is told what happens
 *
 * The broker, the calls and the processes tell it; the judge listens, and the consumers hear that a log has moved. So
 * none of them has to know who listens.
 */
#ifndef SIM_WITNESS_H
#define SIM_WITNESS_H

struct entry;
struct http_call;
struct log;
struct process;
struct transaction;

struct witness {
	void (*on_written)(struct entry *entry);
	void (*on_moved)(const struct log *log); /* something is new in it, or its stable end has moved */
	void (*on_transaction)(const struct transaction *transaction); /* about to be committed */
	void (*on_committed)(struct log *log);                         /* the group's offset in it */
	void (*on_called)(struct http_call *call);
	void (*on_heard)(struct http_call *call);
	void (*on_gave_up)(struct http_call *call);
	void (*on_turned)(const struct process *process);
	void (*on_died)(const struct process *process); /* killed, or expelled from the group */
	void (*on_gave_back)(const struct process *process);
	void (*on_exited)(const struct process *process);
};

extern struct witness witness;

#endif
