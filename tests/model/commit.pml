/*
 * The commit protocol: two workers, one partition, a transaction coordinator and a group that do what they like
 *
 * Checked in every state that can be reached (assertions stand where the state changes: take_effect()):
 *
 *   1  NOTHING IS LOST      a done mark is committed only for a record whose outcome is visible
 *   2  NOTHING IS DOUBLED   no record has two visible outcomes
 *   3  TOGETHER             an outcome becomes visible in the step in which its record's done mark is committed
 *   4  NEVER BACKWARDS      what was committed as done stays done
 *   5  NOTHING IS STRANDED  when no fault is left to happen, everything ends with every record done, and nobody stays
 *                           behind giving partitions back: no deadlock
 *
 * `Visible` is what a read_committed reader sees; `committed` stands for base and done map together: the set of records
 * that are done. A record here is what the outlet calls an effect: outcome, retry or dead letter alike.
 *
 * What is modelled, and where it is written:
 *   Loop      src/worker/outlet.c, src/worker/rebalance.c, src/doors/kafka_consumer.c (a lost membership is ended at
 *             once, a revoked one when it is released)
 *   Producer  src/doors/kafka_transaction.c, and the thread around it in src/doors/kafka_producer.c
 *   take_effect, begin_life   Kafka's coordinators, as far as their answers differ
 *
 * Faults, FAULTS of them in all, of any kinds, at any moment: a reply that does not come although the request took effect;
 * a request that arrives later than its sender waits, or never; a record that cannot be written; a transaction that is
 * aborted by the coordinator's time-out (its producer then looks fenced); a rebalance, after which the same worker may
 * own the partition again; a member that is expelled and does not know; a crash, and a return as a new member or as the
 * old one (static membership). A process that stands still is one that is not scheduled.
 *
 * Taken for granted: a request that is late does not overtake what the same client asks later (one connection, in
 * order); the group answers nobody's question about committed offsets while an open transaction may change them.
 *
 * Seeded bugs, each found when its name is defined (scripts/model):
 *   BUG_OLD_EPOCH      a batch survives its assignment and is submitted again under the next one       (promise 6)
 *   BUG_NOT_ASKED      a batch whose commit has an unknown fate is submitted again without asking       (promise 7)
 *   BUG_OUTSIDE        offsets are committed beside the transaction, not in it                          (promise 2)
 *   BUG_NO_GENERATION  offsets are sent without the group's generation: a zombie's are taken            (promise 5)
 *   BUG_UNSTABLE       committed offsets are read while an open transaction may change them             (promise 7)
 *   BUG_DISOWNED       a revoke is answered only when all is committed, although the group refuses it
 */
#ifndef RECORDS
#define RECORDS 2
#endif
#ifndef FAULTS
#define FAULTS 3
#endif

#define ALL    ((1 << RECORDS) - 1)
#define NOBODY 2

/* ---- Kafka: the topics ---- */

byte visible = 0;   /* records with an outcome that a reader sees */
byte committed = 0; /* records that count as done for the group */

inline take_effect(outcomes, done)
{
	assert((visible & (outcomes)) == 0);           /* 2 */
	assert(((done) & committed) == committed);      /* 4 */
	visible = visible | (outcomes);
	committed = (done);
	assert((committed & visible) == committed);     /* 1 */
	assert((visible & committed) == visible);       /* 3 */
}

/* ---- Kafka: the transaction coordinator, for each worker's transactional id ---- */

mtype = { EMPTY, ONGOING, COMMITTED, ABORTED };
mtype txn[2] = EMPTY;
bool current[2] = false; /* the producer has the coordinator's latest epoch for it */
byte txn_outcomes[2] = 0;
byte txn_done[2] = 0;
bool txn_has_offsets[2] = false;
bool late[2] = false; /* a commit request of the latest epoch is still under way */

inline end_transaction(id, how)
{
	txn[id] = how;
	txn_outcomes[id] = 0;
	txn_done[id] = 0;
	txn_has_offsets[id] = false;
}
inline commit_transaction(id)
{
	if
	:: txn_has_offsets[id] -> take_effect(txn_outcomes[id], txn_done[id])
	:: else -> take_effect(txn_outcomes[id], committed)
	fi;
	end_transaction(id, COMMITTED)
}
/* init_transactions(): the id's next life; what its last one left open is aborted */
inline begin_life(id)
{
	end_transaction(id, EMPTY);
	late[id] = false;
	current[id] = true;
	ready[id] = true
}
/* transaction.timeout.ms has passed */
inline time_out(id)
{
	end_transaction(id, ABORTED);
	late[id] = false;
	current[id] = false
}
#ifdef BUG_UNSTABLE
#define STABLE true
#else
#define STABLE (!txn_has_offsets[0] && !txn_has_offsets[1])
#endif

/* ---- Kafka: the group ---- */

byte generation = 0;
byte owner = NOBODY;
bool member[2] = false;
bool joined[2] = false; /* the rebalance that is under way */
bool preparing = false;
byte faults = FAULTS; /* left to happen */

/* ---- the workers ---- */

mtype = { IDLE, OFFERED, READING, GIVING_BACK, LOST, DOWN };
mtype phase[2] = IDLE;
byte seen[2] = 0;     /* the last generation whose assignment was taken */
byte live[2] = 0;     /* the generation of the present membership; 0 when it has ended */
byte offered[2] = 0;  /* committed, as it was read for the assignment */
byte done[2] = 0;     /* marked, in this assignment */
byte waiting[2] = 0;  /* the outbox */
byte parcel[2] = 0;   /* the batch: its records, ... */
byte snapshot[2] = 0; /* ... and the done marks that go with them */
bool again[2] = false;
bool asking[2] = false;
bool answered[2] = false;
byte answer[2] = 0;
bool disowned[2] = false;
bool orphaned[2] = false;

mtype = { NONE, ANSWER_COMMITTED, ANSWER_ABORTED, ANSWER_REVOKED, ANSWER_FENCED, ANSWER_UNKNOWN };
bool busy[2] = false; /* the producer has the parcel */
mtype verdict[2] = NONE;
byte batch_generation[2] = 0; /* the membership that the batch was submitted under */
bool ready[2] = false;
bool fenced_before[2] = false;
mtype = { TXN_IDLE, TXN_PRODUCED, TXN_SENT, TXN_COMMITTING, TXN_ABORTING, TXN_RENEWING };
mtype step[2] = TXN_IDLE;
bool commit_asked[2] = false;
bool moved[2] = false; /* the group refused the offsets */
bool fenced[2] = false;

#define ENDED(w) (batch_generation[w] == 0 || batch_generation[w] != live[w])

inline clear_parcel(w)
{
	parcel[w] = 0;
	snapshot[w] = 0
}
inline clear_attempt(w)
{
	step[w] = TXN_IDLE;
	commit_asked[w] = false; moved[w] = false; fenced[w] = false
}
inline submit(w)
{
	batch_generation[w] = live[w];
	again[w] = false;
	busy[w] = true
}
/* outlet_forget() */
inline forget(w)
{
	waiting[w] = 0;
#ifdef BUG_OLD_EPOCH
	disowned[w] = false
#else
	if
	:: busy[w] -> orphaned[w] = true
	:: else -> clear_parcel(w)
	fi;
	again[w] = false;
	asking[w] = false;
	answered[w] = false;
	disowned[w] = false
#endif
}
inline release(w)
{
	forget(w);
	done[w] = 0;
	live[w] = 0;
	phase[w] = IDLE
}
inline hear(w)
{
	busy[w] = false;
	batch_generation[w] = 0;
	if
	:: verdict[w] != ANSWER_FENCED && orphaned[w] ->
		orphaned[w] = false;
		clear_parcel(w)
	:: else ->
		if
		:: verdict[w] == ANSWER_COMMITTED -> clear_parcel(w)
		:: verdict[w] == ANSWER_ABORTED -> again[w] = true
		:: verdict[w] == ANSWER_REVOKED -> disowned[w] = true
		:: verdict[w] == ANSWER_FENCED -> die(w) /* `instance used twice` */
		:: verdict[w] == ANSWER_UNKNOWN ->
#ifdef BUG_NOT_ASKED
			again[w] = true
#else
			asking[w] = true
#endif
		fi
	fi;
	verdict[w] = NONE
}
/* The process ends without a word: only what Kafka knows is left. */
inline die(w)
{
	phase[w] = DOWN;
	live[w] = 0; seen[w] = 0; offered[w] = 0; done[w] = 0; waiting[w] = 0;
	clear_parcel(w);
	again[w] = false; asking[w] = false; answered[w] = false; answer[w] = 0;
	disowned[w] = false; orphaned[w] = false; busy[w] = false; verdict[w] = NONE;
	batch_generation[w] = 0; ready[w] = false; fenced_before[w] = false;
	clear_attempt(w)
}

#define IS_MINE(w) (member[w] && !preparing && owner == w && seen[w] != generation)

proctype Loop(byte w)
{
	byte r;
	do
	/* a job ends: its effect is in the outbox */
	:: d_step { (phase[w] == READING || phase[w] == GIVING_BACK) && ((done[w] | waiting[w]) & ALL) != ALL ->
			r = 1;
			do
			:: (done[w] | waiting[w]) & r -> r = r << 1
			:: else -> break
			od;
			waiting[w] = waiting[w] | r;
			r = 0 }
	/* outlet_run() */
	:: d_step { live[w] != 0 && !busy[w] && !asking[w] && !disowned[w] && again[w] -> submit(w) }
	:: d_step { live[w] != 0 && !busy[w] && !asking[w] && !disowned[w] && !again[w] && waiting[w] != 0 ->
			parcel[w] = waiting[w];
			waiting[w] = 0;
			done[w] = done[w] | parcel[w];
			snapshot[w] = done[w];
			submit(w) }
	:: d_step { verdict[w] != NONE -> hear(w) }
	/* rebalance_ask(), and on_offsets() with what was true a moment ago */
	:: d_step { asking[w] && !answered[w] && STABLE -> answered[w] = true; answer[w] = committed }
	:: d_step { asking[w] && answered[w] ->
			if
			:: answer[w] & parcel[w] -> clear_parcel(w)
			:: else -> again[w] = true
			fi;
			asking[w] = false; answered[w] = false; answer[w] = 0 }
	/* the group's events */
	:: d_step { phase[w] == READING && member[w] && preparing -> phase[w] = GIVING_BACK }
	:: d_step { phase[w] == READING && !member[w] -> live[w] = 0; forget(w); done[w] = 0; phase[w] = LOST }
	:: d_step { phase[w] == OFFERED && !member[w] -> offered[w] = 0; phase[w] = IDLE }
	:: d_step { phase[w] == LOST && !busy[w] && !asking[w] -> release(w) }
#ifndef BUG_DISOWNED
	:: d_step { phase[w] == GIVING_BACK && disowned[w] -> release(w) }
#endif
	:: d_step { phase[w] == GIVING_BACK && !busy[w] && !asking[w] && !again[w] && waiting[w] == 0 &&
		    !disowned[w] -> release(w) }
	:: d_step { phase[w] == IDLE && member[w] && !preparing && owner != w && seen[w] != generation ->
			seen[w] = generation }
	:: d_step { phase[w] == IDLE && IS_MINE(w) && STABLE ->
			seen[w] = generation; offered[w] = committed; phase[w] = OFFERED }
	:: d_step { phase[w] == OFFERED -> done[w] = offered[w]; offered[w] = 0; live[w] = seen[w]; phase[w] = READING }
	:: d_step { phase[w] == IDLE && !member[w] -> member[w] = true; joined[w] = true; preparing = true; seen[w] = 0 }
	:: d_step { phase[w] == IDLE && member[w] && preparing && !joined[w] -> joined[w] = true }
	/* the process */
	:: d_step { faults > 0 && phase[w] != DOWN -> faults--; die(w) }
	:: d_step { faults > 0 && step[w] == TXN_COMMITTING && current[w] -> faults--; late[w] = true; die(w) }
	:: d_step { phase[w] == DOWN -> phase[w] = IDLE } /* the same member again */
	:: d_step { phase[w] == DOWN -> phase[w] = IDLE; member[w] = false; joined[w] = false; preparing = true;
			if :: owner == w -> owner = NOBODY :: else fi }
	:: committed == ALL && phase[w] != GIVING_BACK && phase[w] != LOST -> break
	od
}

/* ---- the producer's thread ---- */

/* judge(): a retriable error. The same call again, unless the membership has ended: then leave(). */
#define LEAVE_IF_ENDED(w)                                                                                              \
	if                                                                                                             \
	:: ENDED(w) -> ready[w] = false; say(w, ANSWER_REVOKED)                                                        \
	:: else                                                                                                        \
	fi

inline say(w, what)
{
	verdict[w] = what;
	clear_attempt(w)
}
inline fence(w)
{
	fenced[w] = true;
	step[w] = TXN_RENEWING
}

proctype Producer(byte w)
{
end:	do
	/* kafka_producer_prepare() */
	:: d_step { phase[w] != DOWN && step[w] == TXN_IDLE && !ready[w] -> begin_life(w) }
	:: d_step { step[w] == TXN_IDLE && busy[w] && verdict[w] == NONE && ENDED(w) ->
			say(w, ANSWER_REVOKED) }
	/* the records */
	:: d_step { step[w] == TXN_IDLE && busy[w] && verdict[w] == NONE && !ENDED(w) && ready[w] ->
			if
			:: !current[w] -> fence(w)
			:: else ->
				txn[w] = ONGOING;
				txn_outcomes[w] = parcel[w];
				step[w] = TXN_PRODUCED
			fi }
	:: d_step { step[w] == TXN_IDLE && busy[w] && verdict[w] == NONE && !ENDED(w) && ready[w] && faults > 0 ->
			faults--; step[w] = TXN_ABORTING }
	/* the offsets */
	:: d_step { step[w] == TXN_PRODUCED ->
			if
			:: !current[w] -> fence(w)
#ifndef BUG_NO_GENERATION
			:: current[w] && !(member[w] && batch_generation[w] == generation) ->
				moved[w] = true;
				step[w] = TXN_ABORTING
			:: current[w] && member[w] && batch_generation[w] == generation ->
#else
			:: else ->
#endif
#ifdef BUG_OUTSIDE
				take_effect(0, snapshot[w]);
#else
				txn_done[w] = snapshot[w];
				txn_has_offsets[w] = true;
#endif
				step[w] = TXN_SENT
			fi }
	:: d_step { step[w] == TXN_PRODUCED && faults > 0 -> faults--; LEAVE_IF_ENDED(w) }
	/* it came to pass, but the answer did not come */
	:: d_step { step[w] == TXN_SENT && faults > 0 -> faults--; step[w] = TXN_PRODUCED;
			LEAVE_IF_ENDED(w) }
#ifndef BUG_NO_GENERATION
	:: d_step { step[w] == TXN_SENT && ENDED(w) -> moved[w] = true; step[w] = TXN_ABORTING }
	:: d_step { step[w] == TXN_SENT && !ENDED(w) -> commit_asked[w] = true; step[w] = TXN_COMMITTING }
#else
	:: d_step { step[w] == TXN_SENT -> commit_asked[w] = true; step[w] = TXN_COMMITTING }
#endif
	/* the commit */
	:: d_step { step[w] == TXN_COMMITTING ->
			if
			:: !current[w] -> fence(w)
			:: current[w] && txn[w] == ONGOING -> commit_transaction(w); late[w] = false; say(w, ANSWER_COMMITTED)
			:: current[w] && txn[w] == COMMITTED -> late[w] = false; say(w, ANSWER_COMMITTED)
			:: else -> step[w] = TXN_RENEWING
			fi }
	/* answer lost; request late (or lost: late for ever); a record that failed after all; a fatal error */
	:: d_step { step[w] == TXN_COMMITTING && faults > 0 && current[w] && txn[w] == ONGOING ->
			faults--; commit_transaction(w); LEAVE_IF_ENDED(w) }
	:: d_step { step[w] == TXN_COMMITTING && faults > 0 && current[w] ->
			faults--; late[w] = true; LEAVE_IF_ENDED(w) }
	:: d_step { step[w] == TXN_COMMITTING && faults > 0 && !late[w] && txn[w] == ONGOING ->
			faults--; step[w] = TXN_ABORTING }
	:: d_step { step[w] == TXN_COMMITTING && faults > 0 -> faults--; step[w] = TXN_RENEWING }
	/* the abort */
	:: d_step { step[w] == TXN_ABORTING ->
			if
			:: !current[w] -> fence(w)
			:: current[w] && txn[w] == COMMITTED && commit_asked[w] -> step[w] = TXN_RENEWING
			:: else ->
				end_transaction(w, ABORTED);
				late[w] = false;
				if
				:: moved[w] -> say(w, ANSWER_REVOKED)
				:: else -> say(w, ANSWER_ABORTED)
				fi
			fi }
	:: d_step { step[w] == TXN_ABORTING && faults > 0 -> faults--; LEAVE_IF_ENDED(w) }
	/* after_renewal() */
	:: d_step { step[w] == TXN_RENEWING && fenced[w] && fenced_before[w] -> ready[w] = false;
			say(w, ANSWER_FENCED) }
	:: d_step { step[w] == TXN_RENEWING && faults > 0 && ENDED(w) -> faults--; ready[w] = false;
			say(w, ANSWER_REVOKED) }
	:: d_step { step[w] == TXN_RENEWING ->
			if :: fenced[w] -> fenced_before[w] = true :: else fi;
			begin_life(w);
			if
			:: moved[w] -> say(w, ANSWER_REVOKED)
			:: !moved[w] && commit_asked[w] -> say(w, ANSWER_UNKNOWN)
			:: else -> say(w, ANSWER_ABORTED)
			fi }
	od
}

/* ---- what nobody asks for ---- */

#define ALL_JOINED (preparing && (!member[0] || joined[0]) && (!member[1] || joined[1]))

inline begin_generation(whose)
{
	generation++;
	owner = whose;
	preparing = false;
	joined[0] = false; joined[1] = false
}

proctype Fate()
{
	byte w;
end:	do
	:: d_step { faults > 0 && !preparing && generation > 0 -> faults--; preparing = true;
			joined[0] = false; joined[1] = false }
	/* any member may become the owner, the former one included */
	:: d_step { ALL_JOINED && member[0] -> begin_generation(0) }
	:: d_step { ALL_JOINED && member[1] && generation > 0 -> begin_generation(1) } /* the first is 0's: symmetry */
	:: atomic { faults > 0 && (member[0] || member[1]) ->
			if
			:: member[0] -> w = 0
			:: member[1] -> w = 1
			fi;
			faults--;
			member[w] = false; joined[w] = false; preparing = true;
			if :: owner == w -> owner = NOBODY :: else fi;
			w = 0 }
	:: d_step { faults > 0 && txn[0] == ONGOING -> faults--; time_out(0) }
	:: d_step { faults > 0 && txn[1] == ONGOING -> faults--; time_out(1) }
	:: d_step { late[0] -> late[0] = false;
			if :: txn[0] == ONGOING -> commit_transaction(0) :: else fi }
	:: d_step { late[1] -> late[1] = false;
			if :: txn[1] == ONGOING -> commit_transaction(1) :: else fi }
	od
}

init
{
	atomic {
		run Loop(0);
		run Loop(1);
		run Producer(0);
		run Producer(1);
		run Fate()
	}
}
