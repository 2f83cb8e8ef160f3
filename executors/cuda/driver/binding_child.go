package driver

func (d *binding) SetChildNode(x GraphExec, n Node, child Graph) error {
	return d.steady(fnGraphExecChildNodeSetParams, uintptr(x), uintptr(n), uintptr(child))
}
