// Package access asks the API server who bears a token and whether they may do something (TokenReview and
// SubjectAccessReview, Kubernetes API reference, "authentication.k8s.io" and "authorization.k8s.io").
//
// A Reviewer may be used by any number of goroutines.
package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// ErrUnknown is why a token is refused: nobody bears it. The answer is 401.
var ErrUnknown = errors.New("the token is not valid")

// ErrForbidden is why its bearer is refused: they may not. The answer is 403.
var ErrForbidden = errors.New("forbidden")

const (
	// remembered is how long an answer of the API server is believed: so long a token works after it has been revoked.
	remembered = 10 * time.Second
	// reviews bounds how many tokens are looked at at once; whoever comes when so many are waits.
	reviews = 8
	// renewals is how many more may be if they were accepted not long ago, so that nobody keeps their bearers out by sending
	// tokens that are worth nothing.
	renewals = 4
	// acquainted is how long after its last acceptance a token is one that was accepted not long ago.
	acquainted = 10 * time.Minute
	// maxRemembered bounds the memory of tokens that were accepted, and that of answers about others.
	maxRemembered = 1024
	timeout       = 5 * time.Second
)

// Reviewer decides about access to one resource.
type Reviewer struct {
	client   kubernetes.Interface
	resource authorizationv1.ResourceAttributes
	slots    chan struct{} // of tokens that nobody knows
	renewals chan struct{} // of tokens that were accepted not long ago

	mu      sync.Mutex // guards what follows
	bearers map[token]*bearer
	refused map[question]answer // about tokens that are not among the bearers
}

// token is the hash of one: what is remembered is worth nothing to whoever reads the memory.
type token [sha256.Size]byte

type question struct {
	token
	verb string
}

// bearer is a token that has been accepted for at least one verb.
type bearer struct {
	accepted time.Time // for the last time
	answers  map[string]answer
}

type answer struct {
	user  string
	err   error
	until time.Time
}

// NewReviewer returns a Reviewer for a resource; the verb in it is ignored.
func NewReviewer(client kubernetes.Interface, resource authorizationv1.ResourceAttributes) *Reviewer {
	return &Reviewer{
		client: client, resource: resource, slots: make(chan struct{}, reviews), renewals: make(chan struct{}, renewals),
		bearers: map[token]*bearer{}, refused: map[question]answer{},
	}
}

// Review returns the name of the token's bearer if they may use the verb on the resource, and otherwise an error that is
// ErrUnknown, ErrForbidden, or says why the API server could not be asked: then nobody may.
func (r *Reviewer) Review(ctx context.Context, bearerToken, verb string) (user string, err error) {
	q := question{sha256.Sum256([]byte(bearerToken)), verb}
	a, known, slots := r.recall(q)
	if known {
		return a.user, a.err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return "", fmt.Errorf("review the token: %w", ctx.Err())
	}
	user, err = r.ask(ctx, bearerToken, verb)
	if err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrForbidden) {
		r.remember(q, answer{user, err, time.Now().Add(remembered)})
	}
	return user, err
}

func (r *Reviewer) ask(ctx context.Context, bearerToken, verb string) (string, error) {
	who, err := r.client.AuthenticationV1().TokenReviews().Create(ctx,
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: bearerToken}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("review the token: %w", err)
	}
	if !who.Status.Authenticated {
		return "", ErrUnknown
	}
	user := who.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for k, v := range user.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	resource := r.resource
	resource.Verb = verb
	may, err := r.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra, ResourceAttributes: &resource,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("review the access of %s: %w", user.Username, err)
	}
	if !may.Status.Allowed || may.Status.Denied {
		return "", fmt.Errorf("%w: %s may not %s %s.%s in namespace %q", ErrForbidden, user.Username, verb,
			resource.Resource, resource.Group, resource.Namespace)
	}
	return user.Username, nil
}

// recall returns what is known; if that is nothing, or too old, the slots of which asking takes one.
func (r *Reviewer) recall(q question) (a answer, known bool, slots chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	a, slots = r.refused[q], r.slots
	if b := r.bearers[q.token]; b != nil && now.Sub(b.accepted) < acquainted {
		a, slots = b.answers[q.verb], r.renewals
	}
	return a, now.Before(a.until), slots
}

// remember keeps an answer: with the bearer, if the token has been accepted at least once and is not revoked.
func (r *Reviewer) remember(q question, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(a.err, ErrUnknown) {
		delete(r.bearers, q.token) // revoked
	}
	if a.err == nil {
		r.accept(q.token)
	}
	if b := r.bearers[q.token]; b != nil {
		b.answers[q.verb] = a
		return
	}
	if len(r.refused) >= maxRemembered {
		clear(r.refused) // they are asked again
	}
	r.refused[q] = a
}

// accept notes that a token has been accepted now. It makes room by forgetting who was accepted the longest ago. r.mu is held.
func (r *Reviewer) accept(t token) {
	b := r.bearers[t]
	if b == nil {
		if len(r.bearers) >= maxRemembered {
			delete(r.bearers, r.oldest())
		}
		b = &bearer{answers: map[string]answer{}}
		r.bearers[t] = b
	}
	b.accepted = time.Now()
}

// oldest returns the token that was accepted the longest ago. r.mu is held.
func (r *Reviewer) oldest() (oldest token) {
	var accepted time.Time
	for t, b := range r.bearers {
		if accepted.IsZero() || b.accepted.Before(accepted) {
			oldest, accepted = t, b.accepted
		}
	}
	return oldest
}
