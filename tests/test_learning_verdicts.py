"""The rules of the learning claims, number by number: each outcome is reached, missing evidence is none."""
import copy
import json
import math
import random
from pathlib import Path

import pytest

from fpkit.learning.figures import stored_runs
from validation import load, names

NAN = math.nan


def row(**values):
    return values


def walk(start, seed, late, l2=0.0, theta=3e-5, first=1.0, norms=(20.0, 20.0)):
    return row(start=start, seed=seed, l2=l2, theta=theta, first=first, late=late, last=late,
               norm_first=norms[0], norm_last=norms[1])


def wide(gain, n=6, trace=1.0, train_acc=0.95):
    return [row(data=data, seed=k, learner=learner, trace=trace if learner == "wide" else 2.0, train_loss=0.1,
                test_loss=0.2, train_acc=train_acc,
                test_acc=0.8 + 0.001 * (-1) ** k + (gain if learner == "wide" else 0))
            for data in ("digits", "wine") for k in range(n) for learner in ("sharp", "wide")]


def laws(e, p, parts=("power", "power"), censored=0):
    law = lambda aic, r2: row(r_squared=r2, aic=aic, a=1.0, b=2.0, critical=0.3, sigma=0.1, b_interval=None,
                              critical_interval=None, log_likelihood=0.0)
    each = {"exponential": law(*e), "power": law(*p)}
    score = {"exponential": {"exponential": 0.0, "power": 9.0}, "power": {"exponential": 9.0, "power": 0.0}}
    return row(rows=[row(fraction=f, n_train=9, t_mem=10.0, t_grok=99.0, censored=censored)
                     for f in (0.8, 0.7, 0.6)], modulus=31, n_seeds=5, n_steps=8000, t_memorised=[],
               t_grokked=[], laws=each, scores={k: [v["r_squared"], v["aic"]] for k, v in each.items()},
               parts=dict(zip(("upper", "lower"), (score[p] for p in parts))))


def chambers(slopes, z=1.0, deepest=5.0):
    rows, log_t = [], 9.0
    for k in range(len(slopes) + 1):
        rows.append(row(n=k, entropy=deepest - k, t_grok=math.exp(log_t), error=1.0,
                        finite_volumes=math.exp(log_t), reduced=math.exp(log_t), z=z))
        log_t -= slopes[k] if k < len(slopes) else 0.0
    return row(rows=rows, allowed=3.0)


def norms(*runs):
    return row(rows=[row(fraction=f, seed=0, start=30.0, memorised=m, plateau=p, end=e, t_memorised=9,
                         t_grokked=t) for f, m, p, e, t in runs], histories={})


def cuts(implied, network=(-3.0, -6.0), found=-5.0):
    return row(rows=[row(problem="factorisation", n=5, dimension=1, exact=-5.0, found=found, error=0.1), row(
                problem="factorisation", n=6, dimension=1, exact=None, found=-5.0 - implied, error=0.1),
                     *(row(problem="network", n=k + 1, dimension=None, exact=None, found=z, error=0.1) for k,
                       z in enumerate(network))], exact=[0.0, -1.0, -2.0, -3.0, -4.0, -5.0], n_params=9)


def bump(harmonic=0.5, hessian=100.0, plane=100.0, share=0.5):
    return row(rows=[row(theta=0.003, barrier=4.0, share=share, error=0.01, exact=0.5, harmonic=harmonic,
                         plane_share=0.5, time=100.0, time_error=1.0, hessian_time=hessian, lowest_time=100.0,
                         plane_time=plane, plane_harmonic=90.0)],
               facts=row(apart=0.1, softest=0.1, in_plane=0.2))


def drift(s, gains=(0.0, 0.0)):
    return row(rows=[row(what="a", t_mem=1.0, t_grok=2.0, censored=0, accuracy=None)], gains=list(gains),
               time=1e4, slopes={"weight_decay": s, "learning_rate": s})


def confined(hot, cold, seeds=3, time=1e4):
    rows = [walk("M", k, late + 0.001 * k, l2, theta) for k in range(seeds) for l2,
            hotter in ((2e-4, 3e-5), (1e-3, 1e-4)) for theta, late in ((hotter, hot), (0.0, cold))]
    return row(rows=rows, time=time, curves={})


def predators(share, miss=0.0):
    r = lambda name, s: row(range=name, attack=1.0, share=s, prey=1.0, predators=0.0, particles=None)
    return row(rows=[r("none", 0.5), r("0.1", share), r("blind", 0.5)], undisturbed=0.5, gibbs_miss=miss,
               lv_miss=0.0)


def model_a(drift=1.0, walk=2.0, z=0.0):
    r = row(length=1.0, t_mem=1.0, mem_error=0.01, drift=1.0, t_grok=50.0, grok_error=0.5,
            finite_volumes=50.0, reduced=50.0, walk=50.0, z=z)
    return row(rows=[r], drift=drift, drift_error=0.01, walk=walk, walk_error=0.01, n_paths=9, tolerance=0.03)


def square(model, *networks):
    return row(rows=[row(what="model A, L = 8", measured=model, asked=0.1),
                     *(row(what=f"network {k}", measured=e, asked=2.0, error=0.02, span=9.0)
                       for k, e in enumerate(networks))],
               tolerance=0.1)


def kramers(paths=1.0, misses=(0.01, 0.1)):
    return [row(theta=t, F1=1.0, F0=0.1, formula=1.0, paths=paths, error=0.05, harmonic=1.0, harmonic_miss=m)
            for t, m in zip((0.1, 0.2), misses)]


def shares(*pairs, star=0.3):
    return [{"dimension": 2, "k_n/k_w": 9, "deeper": 1.0, "theta*": star, "theta": t, "exact": s, "paths": s,
             "z": 0.5} for t, s in pairs]


def rings(quadratic, relu):
    r = lambda net, end: row(net=net, seed=0, start=0.3, memorised=0.4, grokked=0.8, end=end, plane=0.5,
                             roundness=0.1, t_grokked=9, test_acc=1.0)
    return row(rows=[r("quadratic", quadratic), r("ReLU", relu)], points=[row(points=[], title="a")] * 2)


CASES = {}
CASES["learning_01_gibbs"] = {
    "holds": [row(theta=0.3, distance=1e-8, exact=0.5, paths=0.5, z=1.0, times=[], distances=[])],
    "fails": [row(theta=0.3, distance=1e-3, exact=0.5, paths=0.5, z=1.0, times=[], distances=[])]}
CASES["learning_02_eyring"] = {"holds": kramers(), "conditional": kramers(misses=(0.2, 0.1)),
                               "fails": kramers(paths=1.3)}
CASES["learning_03_wide_wells"] = {"holds": shares((0.2, 0.7), (0.4, 0.8)),
                                   "conditional": shares((0.2, 0.3), (0.4, 0.8)),
                                   "not supported": shares((0.2, 0.7), (0.5, 0.3)),
                                   "fails": [r | {"z": 9.0} for r in shares((0.2, 0.7))]}
CASES["learning_04_drift_and_walk"] = {"holds in the model": model_a(), "not supported": model_a(walk=1.5),
                                       "fails": model_a(z=9.0)}
CASES["learning_05_square_law"] = {"holds": square(0.1, 1.9, 2.1), "conditional": square(0.1, 1.2, 2.0),
                                   "fails": square(0.2, 2.0), "not measured": square(0.1, NAN, NAN)}
CASES["learning_06_entropy_of_the_sample"] = { "holds in the model": chambers([0.99, 0.95, 0.8, 0.5]),
                                              "not supported": chambers([0.04, 0.03, 0.02, 0.01]),
                                              "fails": chambers([0.99, 0.95], z=9.0),
                                              "not measured": chambers([0.99, 0.9], deepest=3.0)}
CASES["learning_07_train_fraction"] = {
    "holds": laws((0.0, 0.95), (0.0, 0.95), ("exponential", "exponential")),
    "false here": laws((20.0, 0.5), (0.0, 0.99)), "not supported": laws((0.0, 0.5), (0.0, 0.5)),
    "conditional": laws((9.0, 0.9), (0.0, 0.9), ("exponential", "power")),
    "not measured": laws((0.0, 0.95), (20.0, 0.5), censored=5)}
CASES["learning_08_entropy_of_the_solution"] = {
    word: [row(seed=0, n_params=9, trace_M=1.0, trace_G=1.0, largest_M=1.0, largest_G=1.0, norm_M=1.0,
               norm_G=1.0, soft=a, stiff=b, eigenvalues_M=[1.0], eigenvalues_G=[1.0])] for word, a,
    b in (("holds", 3.0, 2.0), ("false here", -3.0, -2.0), ("not supported", 3.0, -2.0))}
CASES["learning_09_zero_risk_walk"] = {
    word: row(rows=[walk("M", 0, m), walk("G", 0, g)], time=time, curves={}, times=[]) for word, m, g,
    time in (("holds", 0.95, 0.95, 1e4), ("false here", 0.3, 0.5, 1e4), ("not supported", 0.7, 0.95, 1e4),
             ("not measured", 0.95, 0.95, 10.0))}
CASES["learning_10_confined_walk"] = {"holds": confined(0.95, 0.2), "conditional": confined(0.7, 0.3),
                                      "not supported": confined(0.5, 0.5),
                                      "not measured": confined(0.95, 0.2, seeds=1)}
CASES["learning_11_equipartition"] = { word: row(
        rows=[row(l2=1e-3, theta=1e-4, seed=0, start="M", risk=r, equipartition=1.0, ratio=r, soft=None)],
        time=t) for word, r, t in (("holds", 1.05, 1e4), ("conditional", 0.8, 1e4),
                                   ("not supported", 0.5, 1e4), ("not measured", 1.0, 9.0))}
CASES["learning_12_circle"] = {"holds": rings(0.95, 0.95), "conditional": rings(0.95, 0.4),
                               "not supported": rings(0.5, 0.4)}
CASES["learning_13_weight_norm"] = {"holds": norms((0.4, 20.0, 22.0, 20.0, 900)),
                                    "conditional": norms((0.4, 20.0, 22.0, 20.0, 900),
                                                         (0.5, 20.0, 20.1, 20.0, 900)),
                                    "not supported": norms((0.4, 20.0, 22.0, 20.0, None)),
                                    "not measured": norms((0.4, None, None, 20.0, None))}
CASES["learning_14_wide_minima"] = {"holds": wide(0.05), "false here": wide(-0.05),
                                    "not supported": wide(0.0), "not measured": wide(0.05, n=2)}
CASES["learning_15_predator_prey"] = {"open": predators(0.6), "false here": predators(0.4),
                                      "fails": predators(0.6, 0.1)}
CASES["learning_16_confinement"] = {
    word: row(rows=[walk("G", 0, a, 2e-4), walk("G", 0, b, 0.0, norms=(20.0, n))], time=1e4, curves={})
    for word, a, b,
    n in (("holds", 0.95, 0.95, 20.0), ("false here", 0.95, 0.3, 40.0), ("not supported", 0.95, 0.3, 20.0))}
CASES["learning_17_zero_risk_volume"] = {"conditional": cuts(0.1), "holds": cuts(1.0),
                                         "not supported": cuts(0.6), "fails": cuts(0.1, found=-9.0),
                                         "not measured": cuts(0.1, network=(-3.0,))}
CASES["learning_18_what_sets_the_delay"] = {"false here": drift(-1.0), "holds": drift(0.0, (0.6, 0.7)),
                                            "not supported": drift(-0.3), "not measured": drift(NAN)}
CASES["learning_19_two_wells"] = {"holds": bump(), "conditional": bump(hessian=160.0, plane=400.0),
                                  "not supported": bump(harmonic=0.3), "fails": bump(share=0.9)}
# ---- many walkers: rows of times that were seen, or not ----

def walked(power=-1.0, control=False, watched=5e5, thetas=(3e-5, 6e-5, 1e-4), walkers=16, passed=1.0,
           l2_alone=(), wide=((32, True), (64, True)), noise=0.2):
    """Passages with t = .5 theta^power, and controls at theta = 0 that pass or do not."""
    rng = random.Random(1)
    base = row(l2=0.0, learning_rate=0.08, width=32, t_mem=100.0)
    rows = [base | row(theta=t, split=k % 4, seen=k < passed * walkers, t=0.5 * t**power * 1e-4**(-1 - power)
                       * math.exp(noise * rng.gauss(0, 1))) for t in thetas for k in range(walkers)]
    rows += [base | row(theta=0.0, split=k % 4, seen=control, t=watched) for k in range(8)]
    rows += [base | row(theta=0.0, l2=2e-4, split=k % 4, seen=s, t=watched) for k, s in enumerate(l2_alone)]
    return row(rows=rows, controls=[row(n=109, t=9000.0, split=k % 4, seen=False) for k in range(8)],
               widths=[base | row(theta=1e-4, width=w, split=k % 4, seen=s, t=3e4 if s else 9e4)
                       for w, s in wide for k in range(8)])


def moved(prefactor, exponent, start, spread=0.01, splits=4):
    wave = lambda k: spread * (-1) ** k
    rows = [row(case="start", walker=k, split=k % splits, from_start=start + wave(k // 2), directions=None,
                exponent=None, prefactor=None) for k in range(8)]
    return row(rows=rows + [row(case="plateau", walker=k, split=k % splits, from_start=None, directions=200,
                                exponent=exponent + wave(k // 2), prefactor=prefactor + wave(k // 2))
                            for k in range(8)], curves={}, theta=1e-4)


def sized(*laws):
    made = load("learning_23_sample_size").made_up
    arms = ("SGLD", "SGLD with L2", "AdamW")
    return row(rows=[r for law, arm in zip(laws, arms) for r in made(law, (arm,))])


def never(found):
    """The same walkers, none of which is seen to pass."""
    found = copy.deepcopy(found)
    for key in ("rows", "times", "widths"):
        for r in found.get(key, []):
            r.update({"seen": False} if "seen" in r else {})
    return found


CASES["learning_20_first_passage"] = {
    "holds": walked(), "conditional": walked(-0.6), "false here": walked(0.0),
    "not measured": walked(watched=2e4)}
CASES["learning_21_displacement"] = {
    "holds": moved(1.02, 0.98, 2.0), "conditional": moved(1.02, 0.98, 1.2), "false here": moved(0.4, 0.6,
                                                                                                1.2),
    "not measured": moved(1.0, 1.0, 2.0, spread=0.4)}
squares = load("learning_22_square_law").made_up
CASES["learning_22_square_law"] = {
    "holds": row(rows=squares(2.0)), "false here": row(rows=squares(1.0)),
    "conditional": row(rows=squares(1.0) + squares(2.0, "scale")),
    "not measured": row(rows=[r | {"t_mem": 100.0} for r in squares(1.0)])}
CASES["learning_23_sample_size"] = {
    "holds": sized("exponential", "exponential", "exponential"),
    "conditional": sized("threshold", "exponential", "exponential"),
    "false here": sized("threshold", "threshold", "threshold"), "not measured": sized("flat", "flat", "flat")}
CASES["learning_24_entropy_of_examples"] = {
    word: load("learning_24_entropy_of_examples").made_up(*of) for word, of in (
        ("holds", (0.12, -0.12, 6, 0.02)), ("false here", (20.0, -0.12)), ("not supported", (0.5, -0.2, 6,
                                                                                             0.02)),
        ("not measured", (20.0, -0.12, 2)))}
CASES["learning_25_persistence"] = {
    word: load("learning_25_persistence").made_up(*lates) for word, lates in (
        ("holds", (0.95, 0.9)), ("false here", (0.2, 0.3)), ("conditional", (0.95, 0.2)), ("not measured",
                                                                                           (0.95,)))}
CASES["learning_26_minibatch_noise"] = {
    word: load("learning_26_minibatch_noise").made_up(*of) for word, of in (
        ("holds", (1.0,)), ("false here", (2.0,)),
        ("not measured", (1.0, 1e-7)))}
CASES["learning_27_circle_and_norm"] = {
    word: load("learning_27_circle_and_norm").made_up(*of) for word, of in (
        ("holds", (0.95, True)), ("false here", (0.4, False)), ("conditional", (0.95, False)),
        ("not measured", (0.95, True, 8)))}
EVERY = [(name, outcome) for name, cases in CASES.items() for outcome in cases]


def test_every_claim_has_its_rule_pinned():
    assert sorted(CASES) == [n for n in names() if n.startswith("learning_")]


@pytest.mark.parametrize("name, outcome", EVERY)
def test_the_rule_reaches_each_outcome(name, outcome):
    found = copy.deepcopy(CASES[name][outcome])
    verdict = load(name).judge(found)
    assert verdict.outcome == outcome and len(verdict.reason) > 20, f"\n{verdict}"


def emptied(found):
    return found | {"rows": []} if isinstance(found, dict) else []


def spoilt(found, key, value):
    """The measurements with one number of every row replaced."""
    found = copy.deepcopy(found)
    for r in found["rows"] if isinstance(found, dict) else found:
        if key in r:
            r[key] = value
    return found


DECIDES = {"learning_01_gibbs": "z distance", "learning_02_eyring": "paths formula error harmonic_miss",
           "learning_03_wide_wells": "paths z theta*", "learning_04_drift_and_walk": "finite_volumes walk z",
           "learning_06_entropy_of_the_sample": "z entropy finite_volumes reduced",
           "learning_09_zero_risk_walk": "late first", "learning_08_entropy_of_the_solution": "soft stiff",
           "learning_10_confined_walk": "late", "learning_11_equipartition": "ratio",
           "learning_12_circle": "start end", "learning_16_confinement": "late norm_last",
           "learning_13_weight_norm": "memorised plateau end", "learning_14_wide_minima": "trace test_acc "
           "train_acc", "learning_15_predator_prey": "share", "learning_17_zero_risk_volume": "found error",
           "learning_20_first_passage": "t", "learning_21_displacement": "from_start exponent prefactor",
           "learning_22_square_law": "t t_mem", "learning_23_sample_size": "t n",
           "learning_24_entropy_of_examples": "nats halves", "learning_25_persistence": "late followed",
           "learning_26_minibatch_noise": "t added", "learning_27_circle_and_norm": "share norm_most "
                                                                                    "norm_end",
           "learning_19_two_wells": "share exact harmonic time hessian_time plane_time"}


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_measurements_are_no_verdict(name):
    verdict = load(name).judge(emptied(next(iter(CASES[name].values()))))
    assert verdict.outcome == "not measured" and "conclude" in verdict.reason and str(verdict)


@pytest.mark.parametrize("name, key", [(n, k) for n, keys in DECIDES.items() for k in keys.split()])
@pytest.mark.parametrize("value", [NAN, None, math.inf])
def test_a_number_that_is_missing_is_no_evidence(name, key, value):
    judge, cases = load(name).judge, CASES[name]
    for outcome in set(cases) - {"not measured"}:
        verdict = judge(spoilt(cases[outcome], key, value))
        assert verdict.outcome == "not measured" and key in verdict.reason, f"\n{verdict}"
        assert "\n" not in verdict.reason


def test_what_stands_beside_the_rows_is_needed_too():
    found = CASES["learning_18_what_sets_the_delay"]["holds"]
    judge = load("learning_18_what_sets_the_delay").judge
    assert judge(found | {"gains": [NAN, 0.9]}).outcome == "not measured"
    assert judge(found | {"slopes": {"weight_decay": 0.0, "learning_rate": NAN}}).outcome == "not measured"
    laws_of = CASES["learning_07_train_fraction"]["holds"]
    assert load("learning_07_train_fraction").judge(
        laws_of | {"scores": {"exponential": [NAN, 0.0]}}).outcome == "not measured"
    assert load("learning_04_drift_and_walk").judge(model_a(walk=NAN)).outcome == "not measured"


def test_a_censored_sweep_gives_no_exponent(monkeypatch):
    """Every run censored: the fallback of -1 once answered "false here"."""
    import numpy as np

    from fpkit.learning.sweep import Sweep

    module = load("learning_18_what_sets_the_delay")
    never = Sweep("weight_decay", np.array([0.1, 1.0]), np.full((2, 2), 50.0), np.full((2, 2), np.inf), 100,
                  np.ones(2, int), {"modulus": 5}, [])

    class Walked:
        runs = {(2e-4, 3e-5, 0): type("Run", (), {"times": np.array([1e4])})}

        def mean(self, *_):
            return 0.5, 0.0
    monkeypatch.setattr(module, "setting_sweeps",
                        lambda quick: {"weight_decay": never, "learning_rate": never})
    monkeypatch.setattr(module, "walks", lambda quick: Walked())
    verdict = module.judge(module.measure())
    assert verdict.outcome == "not measured" and "slopes" in verdict.reason


def test_two_seeds_and_untrained_networks_are_not_measured():
    judge = load("learning_14_wide_minima").judge
    assert "2 seeds" in judge(wide(0.05, n=2)).reason
    assert judge(wide(0.05, train_acc=0.5)).outcome == "not measured"
    assert judge(wide(0.05, trace=3.0)).outcome == "not measured"


def test_quick_verdicts_say_that_they_are_provisional(monkeypatch):
    module = load("learning_08_entropy_of_the_solution")
    monkeypatch.setattr(module, "measure",
                        lambda quick=False: CASES["learning_08_entropy_of_the_solution"]["holds"])
    quick, full = module.run(quick=True), module.run()
    assert quick.is_provisional and "HOLDS (provisional: quick form)" in str(quick) and quick.to_dict()[
        "is_provisional"]
    assert not full.is_provisional and "provisional" not in str(full)


# ---- the claims on many walkers: power, and what is censored ----

WALKED = ("learning_20_first_passage", "learning_22_square_law", "learning_23_sample_size",
          "learning_24_entropy_of_examples", "learning_26_minibatch_noise")


@pytest.mark.parametrize("name", WALKED)
def test_walkers_that_were_never_seen_to_pass_are_no_evidence(name):
    for found in CASES[name].values():
        verdict = load(name).judge(never(found))
        assert verdict.outcome == "not measured" and "nothing is concluded" in verdict.reason, f"\n{verdict}"


@pytest.mark.parametrize("name", [n for n in CASES if n >= "learning_20"])
def test_what_contradicts_the_measurement_turns_the_verdict(name):
    module = load(name)
    for found in CASES[name].values():
        was = module.judge(copy.deepcopy(found)).outcome
        if was != "not measured":
            now = module.judge(module.contrary(copy.deepcopy(found))).outcome
            assert now != was and now != "not measured", f"{name}: {was} stays {now}"


@pytest.mark.parametrize("change, sentence", [
    (dict(thetas=(3e-5, 1e-4)), "2 temperatures at which 75 % pass"), (dict(walkers=8),
                                                                       "8 walkers on 4 splits"),
    (dict(passed=0.5), "0 temperatures"), (dict(watched=3e4), "the control without noise was watched to 1.")])
def test_thin_evidence_of_a_walk_is_none(change, sentence):
    verdict = load("learning_20_first_passage").judge(walked(**change))
    assert verdict.outcome == "not measured" and sentence in verdict.reason


def test_controls_that_pass_and_widths_that_do_not_are_told():
    judge = load("learning_20_first_passage").judge
    assert judge(walked(control=True)).outcome == "false here"
    alone = judge(walked(l2_alone=[True] * 3 + [False] * 5))
    assert alone.outcome == "conditional" and "L2 alone passes as well (3 of 8)" in alone.reason
    wide = judge(walked(wide=[(32, True), (64, False)]))
    assert wide.outcome == "conditional" and "64: 0 of 8" in wide.reason


def test_times_that_do_not_tell_one_law_from_another_are_not_judged():
    verdict = load("learning_20_first_passage").judge(walked(-0.5, noise=6.0))
    assert verdict.outcome == "not measured"
    few = [r for r in sized("exponential")["rows"] if r["n"] > 85]
    assert "4 sizes at which half pass, 5 are needed" in load("learning_23_sample_size").judge(
        row(rows=few)).reason


def test_an_exponent_is_judged_only_over_a_factor_of_four():
    narrow = [r | {"t_mem": r["t_mem"] ** 0.5 * 100} for r in squares(1.0, "scale")]
    verdict = load("learning_22_square_law").judge(row(rows=narrow))
    assert verdict.outcome == "not measured" and "a factor of 2.00, 4 is needed" in verdict.reason


def test_an_interval_that_holds_the_claimed_exponent_never_refutes_it():
    judge = load("learning_22_square_law").judge
    found = [judge(row(rows=squares(power, spread=spread))) for power in (1.7, 2.0, 2.3)
             for spread in (0.1, 0.3, 1.0, 2.0)]
    seen = set()
    for verdict in found:
        fit = verdict.numbers["fits"].get("width") if verdict.outcome != "not measured" else None
        if fit is None:
            assert "which does not tell 2 from 1" in verdict.reason
        else:
            assert (verdict.outcome == "false here") == (not fit["low"] <= 2 <= fit["high"])
        seen.add(verdict.outcome)
    assert {"not measured", "holds"} <= seen


@pytest.mark.parametrize("change, outcome", [
    (dict(), "conditional"), (dict(span=2.0), "not measured"), (dict(error=0.6), "not measured"),
    (dict(error=NAN), "not measured"), (dict(error=0.24, measured=1.4), "holds"),
    (dict(error=0.24, measured=1.2), "conditional")])
def test_networks_are_judged_over_times_that_span_a_factor_with_errors(change, outcome):
    found = square(0.1, 1.2)
    found["rows"][-1] |= change
    assert load("learning_05_square_law").judge(found).outcome == outcome


def test_a_learning_rate_that_only_turns_steps_into_time_is_no_evidence():
    """Times that are the same at every rate: the measurement is in rate x steps, where nothing is told apart
    (in steps both would go as 1/rate, an exponent of 1 by the choice of the unit)."""
    module = load("learning_22_square_law")
    universal = [r | {"t_mem": 100.0, "t": 3000.0 * (1 + 0.1 * (k % 3))} for k, r in enumerate(
        squares(1.0, "learning_rate"))]
    verdict = module.judge(row(rows=universal))
    assert verdict.outcome == "not measured" and "span a factor of 1.00, 4 is needed" in verdict.reason
    measured = [r for r in MEASURED["learning_22_square_law"]["found"]["rows"] if r["setting"] != "width"]
    assert module.judge(row(rows=measured)).outcome == "not measured"


def test_the_square_law_is_measured_in_time(monkeypatch):
    import numpy as np

    from fpkit.learning.walkers import Passages

    module = load("learning_22_square_law")
    made = lambda name: lambda quick: Passages(np.array([8.0]), np.array([True]), np.array([0]), {
        name: np.array([0.04]), "learning_rate": np.array([0.04]), "t_mem": np.array([2.0])})
    for name, setting in (("rates", "learning_rate"), ("scales", "scale"), ("passing_widths", "width")):
        monkeypatch.setattr(module, name, made(setting))
    assert [(r["t"], r["t_mem"]) for r in module.measure()["rows"]] == [(8.0, 2.0)] * 3


def test_a_walk_stays_open_when_the_shares_are_half():
    rows = [r | {"late": 0.95 if k % 2 else 0.2} for k, r in enumerate(
        load("learning_25_persistence").made_up(0.95, 0.95)["rows"])]
    assert load("learning_25_persistence").judge(row(rows=rows)).outcome == "not measured"


@pytest.mark.parametrize("change", [dict(n=8), dict(followed=2.0)])
def test_few_walkers_or_short_follows_do_not_tell_what_stays(change):
    module = load("learning_25_persistence")
    verdict = module.judge(module.made_up(0.95, 0.9, **change))
    assert verdict.outcome == "not measured" and "12 on 4 splits are needed" in verdict.reason


def test_nats_that_drift_during_their_measurement_do_not_count():
    name = "learning_24_entropy_of_examples"
    judge, found = load(name).judge, CASES[name]["false here"]
    assert judge(spoilt(found, "halves", 1.25)).outcome == "false here"
    drifting = judge(spoilt(found, "halves", 1.35))
    assert drifting.outcome == "not measured" and "0 sizes of memorising walkers count" in drifting.reason


@pytest.mark.parametrize("share, rises, outcome", [
    (0.85, True, "conditional"), (0.85, False, "not measured"), (0.95, False, "conditional"),
    (0.6, True, "conditional"), (0.6, False, "false here"), (0.91, True, "holds")])
def test_a_share_between_circle_and_none_is_neither(share, rises, outcome):
    module = load("learning_27_circle_and_norm")
    assert module.judge(module.made_up(share, rises)).outcome == outcome


def test_minibatches_that_add_too_little_to_tell_are_not_judged():
    module = load("learning_26_minibatch_noise")
    weak = module.judge(module.made_up(1.0, 8e-6, 12, 0.8))
    assert weak.outcome == "not measured" and "not told which" in weak.reason
    little = module.judge(module.made_up(1.0, 3e-6))
    assert little.outcome == "not measured" and "minibatches add 10 % only" in little.reason


# ---- what the full forms measured ----

MEASURED = json.loads((Path(__file__).parent / "measured_verdicts.json").read_text(encoding="utf-8"))
SHIPPED = stored_runs()["sizes"]["rows"]                     # of the figures; two claims judge them
MEASURED["learning_23_sample_size"]["found"] |= {"rows": SHIPPED}
MEASURED["learning_24_entropy_of_examples"]["found"] |= {"times": [r for r in SHIPPED if r["arm"] == "SGLD"]}


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_the_full_measurements_give_the_verdicts_that_are_told(name):
    stored, module = MEASURED[name], load(name)
    verdict = module.judge(copy.deepcopy(stored["found"]))
    assert verdict.outcome == stored["outcome"]
    for words in stored["tells"]:                            # the numbers that docs/learning_claims.rst tells
        assert words in verdict.reason
    against = module.judge(module.contrary(copy.deepcopy(stored["found"]))).outcome
    assert against not in (stored["outcome"], "not measured")


@pytest.mark.parametrize("name", sorted(n for n in MEASURED if n.startswith("learning_")))
def test_what_was_measured_is_no_evidence_once_it_is_cut(name):
    """No rows, and rows of walkers that were not seen to pass or not followed."""
    judge, found = load(name).judge, MEASURED[name]["found"]
    assert judge(emptied(found)).outcome == "not measured"
    if name == "learning_21_displacement":                   # it knows no censoring
        return
    cut = never(found)
    for r in cut["rows"]:
        r.update({k: v for k, v in (("followed", 0.0), ("t", math.inf)) if k in r and "seen" not in r})
    verdict = judge(cut)
    assert verdict.outcome == "not measured" and "nothing is concluded" in verdict.reason, f"\n{verdict}"


def test_controls_with_more_pairs_that_pass_limit_the_walk():
    judge, found = load("learning_20_first_passage").judge, walked()
    control = [row(n=109, t=9000.0, split=k % 4, seen=k < 6) for k in range(8)]
    told = judge(found | {"controls": control})
    assert told.outcome == "conditional"
    assert "with 109 training pairs 6 of 8 pass without noise by 9000" in told.reason
    assert judge(found | {"controls": [r | {"seen": False} for r in control]}).outcome == "holds"


def test_the_shipped_passages_over_the_sample_size_give_their_laws():
    sizes = stored_runs()["sizes"]
    judge = load("learning_23_sample_size").judge
    verdict = judge({"rows": sizes["rows"]})
    assert verdict.outcome == "not supported"                    # an arm that is undecided refutes nothing
    assert judge({"rows": [r for r in sizes["rows"] if r["arm"] != "SGLD with L2"]}).outcome == "false here"
    assert {arm: law["law"] for arm, law in verdict.numbers["laws"].items()} == {
        "SGLD": "another", "SGLD with L2": "undecided", "AdamW": "another"}
    for arm, law in verdict.numbers["laws"].items():
        assert law["slope"] == pytest.approx(sizes["laws"][arm]["slope"], rel=1e-2)


def test_what_was_not_measured_does_not_help_a_claim_and_what_contradicts_it_refutes_it():
    judge, found = load("learning_20_first_passage").judge, walked()
    for power in (0.5, 1.0, 2.0):                                # noise hinders
        assert judge(walked(power)).outcome == "false here"
    for name in ("widths", "controls"):
        told = judge(found | {name: []})
        assert told.outcome == "conditional" and f"{name} were not measured" in told.reason
    made = load("learning_25_persistence").made_up
    kept, open_ = made(0.95, 0.9), made(0.5)
    rows = kept["rows"] + [r | {"arm": "undecided"} for r in open_["rows"]]
    assert load("learning_25_persistence").judge(kept).outcome == "holds"
    assert load("learning_25_persistence").judge({"rows": rows}).outcome == "conditional"
    walk = moved(1.02, 0.98, 2.0)
    wide = [row(case="wide", walker=k, split=k, from_start=None, directions=200, exponent=0.4,
                prefactor=0.3) for k in range(4)]
    wider = walk | {"rows": walk["rows"] + wide}
    assert load("learning_21_displacement").judge(wider).outcome == "conditional"
    circle = load("learning_27_circle_and_norm").made_up(0.95, True)
    many = {**circle, "rows": [r | {"share": 11.0} for r in circle["rows"]]}
    assert "more than all" in load("learning_27_circle_and_norm").judge(many).reason
    torn = {**circle, "rows": [r | {"share": 0.66 if r["split"] == 0 else 0.99} for r in circle["rows"]]}
    assert load("learning_27_circle_and_norm").judge(torn).outcome == "conditional"
