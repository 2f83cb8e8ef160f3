package conformance

import (
	"fmt"

	"jitc/executors"
)

// toDevice copies slabs to a device, guards included; the places of buffers in
// them stay. What was allocated is returned with an error too.
func toDevice(q executors.Queue, slabs []*slab) (copies []*slab, err error) {
	for _, sl := range slabs {
		mem, err := q.Alloc(len(sl.data))
		if err != nil {
			return copies, fmt.Errorf("allocate %d bytes: %w", len(sl.data), err)
		}
		copies = append(copies, &slab{mem, sl.from, sl.to})
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
	for _, sl := range slabs {
		q.Free(sl.data)
	}
}
