package cuda

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"jitc/executors/cuda/driver"
	"jitc/executors/diskcache"
)

// environment is what the environment variables ask for.
type environment struct {
	Options
	assembler func() (driver.Assembler, error) // found when code is assembled first
}

// variable is an environment variable. Unset, or empty, it changes nothing.
type variable struct {
	name, values string
	doc          string // in a phrase
	set          func(e *environment, value string) error
}

// variables are those that the executors of At read. A value that none of them has
// makes an executor unavailable: who sets one wants to see what it does.
var variables = []variable{
	{"JITC_CUDA_GRAPHS", "on or off", "off: kernels are launched one by one, without CUDA graphs",
		onOff(func(e *environment, on bool) {
			if !on {
				e.NoGraphs = "JITC_CUDA_GRAPHS is off"
			}
		})},
	{"JITC_CUDA_BLOCKING", "on or off", "on: each launch is waited for, so that a fault is told of the launch at fault",
		onOff(func(e *environment, on bool) { e.Blocking = on })},
	{"JITC_CUDA_REUSE", "on or off", "off: every block of memory is the driver's own, of its exact size, for compute-sanitizer",
		onOff(func(e *environment, on bool) { e.NoReuse = !on })},
	{"JITC_CUDA_WGMMA", "on or off", "on: products by the warp-group instructions of compute capability 9.0",
		onOff(func(e *environment, on bool) { e.Wgmma = on })},
	{"JITC_CUDA_ASSEMBLER", "ptxas or driver", "ptxas: that program assembles; driver: the driver does when it loads; unset: the driver's library, else ptxas, else the driver",
		func(e *environment, value string) error {
			find, ok := assemblers[value]
			if !ok {
				return errValue
			}
			a, err := find()
			e.assembler = func() (driver.Assembler, error) { return a, nil }
			return err
		}},
}

// assemblers are the values of JITC_CUDA_ASSEMBLER; none leaves it to the driver.
var assemblers = map[string]func() (driver.Assembler, error){
	"ptxas":  driver.FindProgram,
	"driver": func() (driver.Assembler, error) { return nil, nil },
}

// errValue is a variable's refusal of its value; which are good is added.
var errValue = errors.New("expected")

// switches are the values of variables that turn something on or off.
var switches = map[string]bool{"on": true, "1": true, "true": true, "yes": true, "off": false, "0": false, "false": false, "no": false}

func onOff(set func(e *environment, on bool)) func(*environment, string) error {
	return func(e *environment, value string) error {
		on, ok := switches[strings.ToLower(value)]
		if !ok {
			return errValue
		}
		set(e, on)
		return nil
	}
}

// EnvironmentError says that an environment variable has a value that means nothing,
// or that asks for something that is not here.
type EnvironmentError struct {
	Name, Value string
	Err         error
}

// Error names the variable.
func (e *EnvironmentError) Error() string {
	if errors.Is(e.Err, errValue) {
		return fmt.Sprintf("%s=%s; %v", e.Name, e.Value, e.Err)
	}
	return fmt.Sprintf("%s=%s: %v", e.Name, e.Value, e.Err)
}

// Unwrap is what is wrong with the value.
func (e *EnvironmentError) Unwrap() error { return e.Err }

// Variable is the name of the variable.
func (e *EnvironmentError) Variable() string { return e.Name }

// readEnvironment reads the variables. The error is an *EnvironmentError.
func readEnvironment() (*environment, error) {
	e := &environment{assembler: driver.FindAssembler}
	for _, v := range variables {
		value := os.Getenv(v.name)
		if value == "" {
			continue
		}
		if err := v.set(e, value); err != nil {
			if errors.Is(err, errValue) {
				err = fmt.Errorf("%w %s", errValue, v.values)
			}
			return nil, &EnvironmentError{v.name, value, err}
		}
	}
	return e, nil
}

// options finds the rest of the options: what takes time to find.
func (e *environment) options() Options {
	o := e.Options
	o.Cache = diskcache.Default()
	if a, err := e.assembler(); err == nil { // else the driver assembles
		o.Assembler = a
	}
	return o
}

// Environment lists the environment variables that the executors of At read: the
// name, the values it may have, and what they do.
func (e *Executor) Environment() [][3]string {
	out := make([][3]string, len(variables))
	for i, v := range variables {
		out[i] = [3]string{v.name, v.values, v.doc}
	}
	return out
}
