package conformance

import (
	"fmt"
	"slices"

	"jitc/executors"
)

// toDevice copies slabs to a device, guards included; the places of buffers in
// them stay. A slab that occurs twice is one on the device too. What was allocated is
// returned with an error too.
func toDevice(q executors.Queue, slabs []*slab) (copies []*slab, err error) {
	known := map[*slab]*slab{}
	for _, sl := range slabs {
		if c := known[sl]; c != nil {
			copies = append(copies, c)
			continue
		}
		mem, err := q.Alloc(len(sl.data))
		if err != nil {
			return copies, fmt.Errorf("allocate %d bytes: %w", len(sl.data), err)
		}
		known[sl] = &slab{mem, sl.from, sl.to}
		copies = append(copies, known[sl])
		if err := q.Upload(mem, sl.data); err != nil {
			return copies, fmt.Errorf("upload: %w", err)
		}
	}
	return copies, nil
}

// fromDevice copies slabs back.
func fromDevice(q executors.Queue, slabs, copies []*slab) error {
	for i, sl := range slabs {
		if err := q.Download(sl.data, copies[i].data); err != nil {
			return fmt.Errorf("download: %w", err)
		}
	}
	return nil
}

func freeAll(q executors.Queue, slabs []*slab) {
	for i, sl := range slabs {
		if slices.Index(slabs, sl) == i {
			q.Free(sl.data)
		}
	}
}
