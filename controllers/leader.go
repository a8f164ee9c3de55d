package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Leader says how the replicas elect the one that writes.
type Leader struct {
	Namespace string // of the Lease: that of the pods
	Name      string // of the Lease
	Identity  string // of this replica, different for each: the pod's name

	Lease time.Duration // how long a leader that went silent is waited for; 0 is 15 s
	Renew time.Duration // how long a leader tries to renew before it gives up, less than Lease; 0 is 10 s
	Retry time.Duration // between attempts; 0 is 2 s
}

func (l *Leader) setDefaults() {
	for _, d := range []struct {
		value *time.Duration
		unset time.Duration
	}{{&l.Lease, 15 * time.Second}, {&l.Renew, 10 * time.Second}, {&l.Retry, 2 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.unset
		}
	}
}

// lead calls work whenever this replica leads, with a context that ends with the leadership, until ctx is done. The loss
// of leadership ends nothing else: unlike with the leader election of controller-runtime's manager, which ends the
// process, traffic is served on while the API server cannot be reached.
func lead(ctx context.Context, l Leader, clients kubernetes.Interface, log *slog.Logger, work func(context.Context)) error {
	terms := make(chan context.Context)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: l.Name,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name},
			Client:     clients.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: l.Identity},
		},
		LeaseDuration:   l.Lease,
		RenewDeadline:   l.Renew,
		RetryPeriod:     l.Retry,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(term context.Context) {
				log.Info("this replica leads", "identity", l.Identity)
				select {
				case terms <- term:
				case <-term.Done(): // over before the work of the last term was
				}
			},
			OnStoppedLeading: func() { log.Info("this replica does not lead", "identity", l.Identity) },
		},
	})
	if err != nil {
		return fmt.Errorf("set up the leader election: %w", err)
	}
	var worker sync.WaitGroup
	defer worker.Wait()
	worker.Go(func() {
		for {
			select {
			case term := <-terms:
				work(term)
			case <-ctx.Done():
				return
			}
		}
	})
	for ctx.Err() == nil {
		elector.Run(ctx)
	}
	return nil
}
