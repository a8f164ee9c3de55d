package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/measure"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

// accuracy is one toxic, asked for something that can be measured in one round.
type accuracy struct {
	name    string
	toxic   stream.Toxic
	figures []figure
	// measure is one round. base is the time of a round trip without toxics, in milliseconds.
	measure func(ctx context.Context, address string, base float64) ([]float64, error)
}

// figure is one thing asked for.
type figure struct {
	name  string
	asked float64
}

func accuracies() []accuracy {
	const delay, jitter, end = 50.0, 20.0, 200.0 // ms
	times := func(statistics func([]float64) []float64) func(context.Context, string, float64) ([]float64, error) {
		return func(ctx context.Context, address string, base float64) ([]float64, error) {
			times, err := stream.PingPong(ctx, address, 3*time.Second)
			all := inMicros(times)
			for i := range all {
				all[i] = all[i]/1000 - base
			}
			return statistics(all), err
		}
	}
	rate := func(perSecond int64) func(context.Context, string, float64) ([]float64, error) {
		return func(ctx context.Context, address string, _ float64) ([]float64, error) {
			bytes := 2 * perSecond
			took, err := stream.Transfer(ctx, address, bytes)
			return []float64{float64(bytes) / took.Seconds() / 1000}, err
		}
	}
	ending := func(e stream.Ending, reset bool) func(context.Context, string, float64) ([]float64, error) {
		return func(ctx context.Context, address string, _ float64) ([]float64, error) {
			took, isReset, err := stream.End(ctx, address, e)
			if err == nil && isReset != reset {
				err = fmt.Errorf("ended with a reset: %v, want %v", isReset, reset)
			}
			return []float64{micros(took) / 1000}, err
		}
	}
	return []accuracy{
		{"latency 50 ms", stream.Downstream("latency", attributes{"latency": delay}),
			[]figure{{"p50 ms", delay}, {"p99 ms", delay}}, times(quantiles)},
		{"latency 50 ms, jitter 20 ms", stream.Downstream("latency", attributes{"latency": delay, "jitter": jitter}),
			[]figure{{"mean ms", delay}, {"deviation ms", jitter / math.Sqrt(3)}, {"least ms", delay - jitter}, {"most ms", delay + jitter}}, times(moments)},
		{"bandwidth 1 MB/s", stream.Downstream("bandwidth", attributes{"rate": 1000}), []figure{{"kB/s", 1000}}, rate(1e6)},
		{"bandwidth 50 MB/s", stream.Downstream("bandwidth", attributes{"rate": 50000}), []figure{{"kB/s", 50000}}, rate(50e6)},
		{"slow_close 200 ms", stream.Downstream("slow_close", attributes{"delay": end}), []figure{{"end, ms", end}}, ending(stream.Ends, false)},
		{"timeout 200 ms", stream.Downstream("timeout", attributes{"timeout": end}), []figure{{"end, ms", end}}, ending(stream.IsSilent, false)},
		{"reset_peer 200 ms", stream.Downstream("reset_peer", attributes{"timeout": end}), []figure{{"end, ms", end}}, ending(stream.Speaks, true)},
	}
}

func quantiles(times []float64) []float64 {
	return []float64{measure.Percentile(times, 0.5), measure.Percentile(times, 0.99)}
}

// moments are the mean, the standard deviation, and the extremes.
func moments(times []float64) []float64 {
	if len(times) == 0 {
		return nil
	}
	sum, squares := 0.0, 0.0
	for _, t := range times {
		sum += t
	}
	mean := sum / float64(len(times))
	for _, t := range times {
		squares += (t - mean) * (t - mean)
	}
	s := measure.Summarize(times)
	return []float64{mean, math.Sqrt(squares / float64(len(times))), s.Min, s.Max}
}

// measureAccuracy measures what toxics do against what they are asked for, in interleaved rounds over the paths.
func (s *session) measureAccuracy(ctx context.Context, direct path, paths []path) error {
	for _, a := range accuracies() {
		if !s.wantsStream(a.name) {
			continue
		}
		toxic := make([]path, len(paths))
		for i, p := range paths {
			var err error
			if toxic[i], err = p.through(ctx, a.toxic); err != nil {
				return err
			}
		}
		var tables []report.Accuracy
		for _, f := range a.figures {
			t := report.Accuracy{Name: a.name + ", " + f.name, Asked: f.asked}
			for _, p := range toxic {
				t.Paths = append(t.Paths, report.AccuracyRow{Path: p.name})
			}
			tables = append(tables, t)
		}
		for round := range s.rounds {
			times, err := stream.PingPong(ctx, direct.address, 100*time.Millisecond)
			if err != nil {
				return err
			}
			base := measure.Percentile(inMicros(times), 0.5) / 1000
			for i, p := range toxic {
				found, err := a.measure(ctx, p.address, base)
				if err != nil {
					if err := s.leaveOut(ctx, fmt.Sprintf("stream, %s, %s, round %d", a.name, p.name, round+1), err); err != nil {
						return err
					}
					continue
				}
				for k := range tables {
					tables[k].Paths[i].Rounds = append(tables[k].Paths[i].Rounds, found[k])
				}
				s.progress("%s round %d/%d %-16s %.3f", a.name, round+1, s.rounds, p.name, found)
			}
		}
		s.report.Stream.Accuracy = append(s.report.Stream.Accuracy, tables...)
	}
	return nil
}
