package executors

// Accelerator is an executor whose kernels run on a device with memory of its own.
// The buffers that its launches take are memory of its Queue.
type Accelerator interface {
	Executor
	// Queue is the device's queue, the same at every call. An error says why the
	// device cannot be used, or cannot be used any more.
	Queue() (Queue, error)
}

// Queue is a device's memory and the order of its work. What it is given (copies,
// launches, frees) takes place in the order in which it was given, after the call
// that gave it has returned perhaps, so that memory may be freed, and used again,
// as soon as the last use of it is queued:
//
//	q.Upload(x, host)         queued
//	batch.Run(args, scratch)  queued behind it
//	q.Free(scratch)           freed behind that
//	q.Download(host, y)       waits
//
// A Download alone may overtake: it takes place behind what was queued before it,
// and what is queued while it waits, by other goroutines, does not hold it up. So
// whoever downloads keeps the source as it is until Download returns: nothing that
// writes it is queued, and it is not freed.
//
// Device memory is given as []byte, of which only address and length mean
// something: the host must not touch the bytes.
//
// Work that fails after its call has returned fails the next Download, Sync or
// later call; a fault that the device does not survive fails every later call.
// Safe for concurrent use.
type Queue interface {
	// Device is the name of the device: "cuda:0".
	Device() Device
	// Alloc returns memory at a multiple of 256 bytes, with undefined contents. An
	// error of too little memory says how much was asked for and how much is free.
	Alloc(bytes int) ([]byte, error)
	// Free gives back what Alloc returned.
	Free(mem []byte)
	// Upload copies from the host; src is read before it returns.
	Upload(dst, src []byte) error
	// Download copies to the host behind what is queued by now, and waits until that
	// is done. Until it returns, nobody queues what writes src, or frees it.
	Download(dst, src []byte) error
	// Copy copies within the device; dst and src do not overlap.
	Copy(dst, src []byte) error
	// Sync waits until everything queued is done, the copies of Downloads under way too.
	Sync() error
	// Batch prepares launches of the device's kernels to be run one after another,
	// many times. after[i] lists the launches before i that i must wait for; nil
	// keeps them all in order.
	Batch(launches []Launch, after [][]int) (Batch, error)
}

// Batch is a list of launches that is run as one. One run at a time.
type Batch interface {
	// Run queues the launches. args[i] are the buffers of launch i as Launch.Run
	// takes them. scratch[i] is the scratch memory of launch i, which launches that
	// do not wait for each other must not share.
	Run(args [][][]byte, scratch [][]byte) error
	// Recorded is nil where runs replay a recording of the device, else why not.
	Recorded() error
}
