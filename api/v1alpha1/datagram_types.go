package v1alpha1

// UDPDrop loses datagrams.
//
// +kubebuilder:validation:XValidation:rule="has(self.burst) || !has(self.lossInBurst) && !has(self.lossBetweenBursts)",message="lossInBurst and lossBetweenBursts go with a burst only"
type UDPDrop struct {
	Loss `json:",inline"`
}

// UDPDuplicate sends datagrams more than once.
type UDPDuplicate struct {
	// share is the percentage of datagrams that are duplicated.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Share float64 `json:"share"`
	// copies is how many more come of each of them.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Copies int32 `json:"copies,omitempty"`
	// delay is how much later each copy comes than the one before.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1m')",message="must be at most 1m"
	Delay Duration `json:"delay,omitempty"`
}

// UDPReorder lets later datagrams overtake.
//
// +kubebuilder:validation:XValidation:rule="self.packets > 0 || duration(self.delay) > duration('0s')",message="packets or delay must be above 0"
type UDPReorder struct {
	// share is the percentage of datagrams that are held back.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Share float64 `json:"share"`
	// packets is how many others pass each of them; with 0 only delay counts.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Packets int32 `json:"packets"`
	// delay is how long each is held at most; 0 stands for 1s if packets is set.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1m')",message="must be at most 1m"
	Delay Duration `json:"delay,omitempty"`
}

// UDPDelay delays datagrams.
//
// +kubebuilder:validation:XValidation:rule="(self.distribution == 'Empirical') == has(self.empirical)",message="the distribution Empirical needs empirical, which is for it only"
// +kubebuilder:validation:XValidation:rule="self.distribution != 'Empirical' || duration(self.jitter) == duration('0s')",message="jitter has no part in the distribution Empirical: leave it out"
type UDPDelay struct {
	Delays `json:",inline"`
	// inOrder lets no datagram overtake another.
	// +optional
	InOrder bool `json:"inOrder,omitempty"`
}

// UDPRate limits how many bytes pass in a time, and drops what does not fit the queue.
type UDPRate struct {
	// rate in bytes per second, 100k for instance; 0 drops everything.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	Rate Bytes `json:"rate"`
	// queue is the room for datagrams that wait, in bytes.
	// +optional
	// +kubebuilder:default="64Ki"
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self != '0'",message="must be at least 1"
	Queue *Bytes `json:"queue,omitempty"`
}

// UDPTruncate cuts datagrams short.
type UDPTruncate struct {
	// bytes that are left at most.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must be at least 0"
	Bytes Bytes `json:"bytes"`
}
