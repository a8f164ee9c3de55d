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
	// remembered is how long an answer of the API server is believed.
	remembered = 10 * time.Second
	// reviews bounds how many tokens are looked at at once; whoever comes when so many are waits.
	reviews = 8
	// maxRemembered bounds the memory of answers.
	maxRemembered = 1024
	timeout       = 5 * time.Second
)

// Reviewer decides about access to one resource.
type Reviewer struct {
	client   kubernetes.Interface
	resource authorizationv1.ResourceAttributes
	slots    chan struct{}

	mu    sync.Mutex // guards known
	known map[question]answer
}

type question struct {
	token [sha256.Size]byte
	verb  string
}

type answer struct {
	user  string
	err   error
	until time.Time
}

// NewReviewer returns a Reviewer for a resource; the verb in it is ignored.
func NewReviewer(client kubernetes.Interface, resource authorizationv1.ResourceAttributes) *Reviewer {
	return &Reviewer{client: client, resource: resource, slots: make(chan struct{}, reviews), known: map[question]answer{}}
}

// Review returns the name of the token's bearer if they may use the verb on the resource, and otherwise an error that is
// ErrUnknown, ErrForbidden, or says why the API server could not be asked: then nobody may.
func (r *Reviewer) Review(ctx context.Context, token, verb string) (user string, err error) {
	q := question{sha256.Sum256([]byte(token)), verb}
	if a, ok := r.recall(q); ok {
		return a.user, a.err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return "", fmt.Errorf("review the token: %w", ctx.Err())
	}
	user, err = r.ask(ctx, token, verb)
	if err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrForbidden) {
		r.remember(q, answer{user, err, time.Now().Add(remembered)})
	}
	return user, err
}

func (r *Reviewer) ask(ctx context.Context, token, verb string) (string, error) {
	who, err := r.client.AuthenticationV1().TokenReviews().Create(ctx,
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
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

func (r *Reviewer) recall(q question) (answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.known[q]
	if ok && time.Now().After(a.until) {
		delete(r.known, q)
		return answer{}, false
	}
	return a, ok
}

func (r *Reviewer) remember(q question, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxRemembered {
		clear(r.known) // they are asked again
	}
	r.known[q] = a
}
