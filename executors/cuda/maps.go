package cuda

import (
	"fmt"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/tensormap"
	"jitc/executors/cuda/driver"
)

// patch writes the addresses of a run into an entry's parameter block, and reports
// whether any differs from what was there. at are those that the block's tensor maps
// were made for, 0 at first: a map is made anew only where its own has changed, so
// that runs at the same addresses cost a comparison.
func (q *queue) patch(e *entry, params []byte, at []driver.Ptr, bufs [][]byte, scratch []byte) (changed bool, err error) {
	changed = e.patch(params, bufs, scratch)
	for i := range e.maps {
		m := &e.maps[i]
		mem := scratch
		if m.Buf != ptx.Scratch {
			mem = bufs[m.Buf]
		}
		begin := address(mem) + driver.Ptr(m.Offset)
		if at[i] == begin {
			continue
		}
		changed, at[i] = true, 0
		if err := q.api.EncodeTensorMap(params[m.At:m.At+tensormap.Bytes], &m.Tensor, begin); err != nil {
			return changed, q.failed(fmt.Errorf("%s: a tensor map: %w", e.label, err))
		}
		at[i] = begin
	}
	return changed, nil
}
