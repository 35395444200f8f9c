// Package ordeal puts the whole service through everything that can fail around
// it, and proves afterwards that it kept its word: what was acknowledged is there
// once, what was not asked for is not there, and every balance is what its
// clients say. It holds tests only.
//
// Two replicas of the program run as processes of their own, on a PostgreSQL of
// their own, with a network that fails between them and it, and another between
// them and their clients. 32 clients do what clients do; whatever they do not
// learn the outcome of they send again under its key until they do. Meanwhile two
// lanes of faults run, one of the database and one of everything else.
//
//	operation_test.go  what a client does next, drawn from a seed
//	model_test.go      what must be answered, where nobody else can have a say
//	check_test.go      clients' records held against the books: what is wrong
//	schedule_test.go   which faults when, drawn from the same seed
//
// These have tests among all others. The run itself is behind the build tag
// faults (`task test:faults`):
//
//	client_test.go     sends until the outcome is known, and records it
//	world_test.go      the replicas and what they stand on
//	fault_test.go      the faults, and how each is mended
//	books_test.go      what the database holds
//	leak_test.go       what must be as before
//	ordeal_test.go     the run, its proofs and its one line
//	planted_test.go    the same proofs on books that were falsified: each must be found
package ordeal
