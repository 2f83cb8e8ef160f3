package main

import (
	"fmt"
	"slices"
	"strings"

	"jitc"
	"jitc/executors"
	"jitc/executors/native"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// homeOf is the device that runs all kernels of a program; empty where that is the
// host, or several places. Times of such a program are those of a program that lives
// there: its arguments are brought there first, and its results are left there.
func homeOf(r *jitc.Report) string {
	home := ""
	for _, g := range r.Regions {
		d, known := deviceOf(g.Executor)
		switch {
		case !known: // views and control flow, of no place
		case d == executors.CPU || home != "" && home != string(d):
			return ""
		default:
			home = string(d)
		}
	}
	return home
}

// place is where programs live, and the executors that compute there.
type place struct {
	device    string
	executors []string
}

// placeOf is where a program lives: the host where it lives in several places.
func (a *app) placeOf(r *jitc.Report) place {
	home := homeOf(r)
	if home == "" {
		return place{string(executors.CPU), []string{native.Name}}
	}
	var names []string
	for _, g := range r.Regions {
		names = append(names, g.Executor)
	}
	for _, x := range a.executors { // a library perhaps computes all of the program, and little else
		names = append(names, x.Name())
	}
	at := place{device: home}
	for _, n := range names {
		if d, known := deviceOf(n); known && string(d) == home && !slices.Contains(at.executors, n) {
			at.executors = append(at.executors, n)
		}
	}
	return at
}

// deviceOf is where an executor computes that can be used.
func deviceOf(name string) (executors.Device, bool) {
	if x, err := executors.Select(name); err == nil {
		return x[0].Device(), true
	}
	return "", false
}

// moveHome brings the arguments to the device that the session's program lives on,
// if it does on one.
func (s *session) moveHome(c *jitc.Compiled) error {
	if s.padding != nil { // tensors are padded on the host
		return nil
	}
	home := homeOf(c.Report)
	if home == "" {
		return nil
	}
	s.a.progress.update("bringing arguments to %s", home)
	moved, err := toDevice(s.engine, s.args, home)
	if err == nil {
		s.args, s.home = moved, home
	}
	return err
}

// toDevice brings tensors to a device.
func toDevice(e *jitc.Engine, ts []*tensor.Tensor, device string) ([]*tensor.Tensor, error) {
	out := make([]*tensor.Tensor, len(ts))
	for i, t := range ts {
		there, err := e.ToDevice(jitc.FromHost(t), device)
		if err != nil {
			return nil, fault{err}
		}
		out[i] = there.Storage()
	}
	return out, nil
}

// sync waits for the device that the program lives on: a run there is over then.
func (s *session) sync() error {
	if s.home == "" {
		return nil
	}
	return s.engine.Sync(s.home)
}

// toHost brings results to the host, in their places.
func toHost(ts []*tensor.Tensor) error {
	for i, t := range ts {
		h, err := t.ToHost()
		if err != nil {
			return fault{err}
		}
		ts[i] = h
	}
	return nil
}

// homeText says where a program lives, in its title.
func homeText(home string) string {
	if home == "" {
		return ""
	}
	return "on " + home
}

// devicesText is the memory of a run's intermediates, on the host and on devices.
func devicesText(host int, devices []rt.DevicePlan) string {
	parts := []string{byteText(float64(host))}
	for _, d := range devices {
		if d.Arena > 0 {
			parts = append(parts, fmt.Sprintf("%s on %s", byteText(float64(d.Arena)), d.Device))
		}
	}
	return strings.Join(parts, ", ")
}
