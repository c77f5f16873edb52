import type { Finding } from "../analysis/finding.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { RunOutcome } from "../worker-runner/executor.ts";
import type { Candidate } from "./candidate.ts";
import type { Measured } from "./measured.ts";
import { partOf } from "./rank.ts";
import type { LeftPart } from "./run-state.ts";

/** A commit with all that was kept so far. */
export interface Standing {
  readonly commit: string;
  readonly measured: Measured;
}

/** ended: nothing was judged. */
export type Attempt =
  | { readonly kind: "kept"; readonly standing: Standing }
  | { readonly kind: "rejected"; readonly why: string }
  | { readonly kind: "ended"; readonly outcome: RunOutcome };

export interface PartTrial {
  /** Makes the change on top of the standing, and judges it. */
  readonly attempt: (candidate: Candidate, at: Standing) => Promise<Attempt>;
  /** Names that become unused in turn when only these are removed; the error: they cannot be. */
  readonly cascadeOf: (findings: readonly Finding[], at: Standing) => Promise<Result<readonly Finding[], string>>;
  /** Why the run is over; null: it continues. */
  readonly whyOver: () => Promise<string | null>;
}

interface TriedParts {
  readonly at: Standing;
  /** Empty: all was kept. */
  readonly left: readonly LeftPart[];
}

/**
 * [EV211] A mechanical change that is rejected is tried again in parts, each on top of those that
 * were kept. A model's is not: each of its parts would cost another session.
 */
export async function tryInParts(
  whole: Candidate,
  start: Standing,
  maxRejected: number,
  trial: PartTrial,
): Promise<Result<TriedParts, RunOutcome>> {
  const first = await trial.attempt(whole, start);
  if (first.kind === "ended") return err(first.outcome);
  if (first.kind === "kept") return ok({ at: first.standing, left: [] });
  const isSplit = whole.method === "fix" && whole.findings.length > 1;
  if (!isSplit) return ok({ at: start, left: [{ candidate: whole, why: first.why, isTried: true }] });
  return new Parts(whole, start, maxRejected, trial).tryAll();
}

class Parts {
  readonly #whole: Candidate;
  readonly #maxRejected: number;
  readonly #trial: PartTrial;
  readonly #left: LeftPart[] = [];
  #at: Standing;

  constructor(whole: Candidate, start: Standing, maxRejected: number, trial: PartTrial) {
    this.#whole = whole;
    this.#at = start;
    this.#maxRejected = maxRejected;
    this.#trial = trial;
  }

  async tryAll(): Promise<Result<TriedParts, RunOutcome>> {
    const open = splitFindings(this.#present(this.#whole.findings));
    for (let part = open.shift(); part !== undefined; part = open.shift()) {
      // Lines have moved, and a finding may have gone with those of another part.
      const findings = this.#present(part);
      const tried = findings.length === 0 ? ok([]) : await this.#try(findings);
      if (!tried.ok) return tried;
      open.unshift(...tried.value);
    }
    return ok({ at: this.#at, left: this.#left });
  }

  /** @returns smaller parts that are to be tried */
  async #try(findings: readonly Finding[]): Promise<Result<readonly Finding[][], RunOutcome>> {
    const over = await this.#whyOver();
    if (over !== null) return this.#leave(findings, over, false);
    const attempt = await this.#attempt(findings);
    if (attempt.kind === "ended") return err(attempt.outcome);
    if (attempt.kind === "rejected")
      return findings.length > 1 ? ok(splitFindings(findings)) : this.#leave(findings, attempt.why, true);
    this.#at = attempt.standing;
    return ok([]);
  }

  #present(findings: readonly Pick<Finding, "fingerprint">[]): Finding[] {
    const own = new Set(findings.map(({ fingerprint }) => fingerprint));
    return this.#at.measured.findings.filter(({ fingerprint }) => own.has(fingerprint));
  }

  /** [EV212] Bounds all attempts: each rejected part holds a finding that is rejected alone. */
  async #whyOver(): Promise<string | null> {
    const rejected = this.#left.filter(({ isTried }) => isTried).length;
    if (rejected < this.#maxRejected) return this.#trial.whyOver();
    return `${rejected} other findings of the same change were rejected`;
  }

  async #attempt(findings: readonly Finding[]): Promise<Attempt> {
    const cascade = this.#whole.cascade.length === 0 ? ok([]) : await this.#trial.cascadeOf(findings, this.#at);
    if (!cascade.ok) return { kind: "rejected", why: cascade.error };
    const attempt = await this.#trial.attempt(partOf(this.#whole, findings, cascade.value), this.#at);
    const failure = attempt.kind === "ended" && attempt.outcome.kind === "failed" ? attempt.outcome : null;
    return failure ? { kind: "rejected", why: failure.reason } : attempt;
  }

  /** Named with the lines where the whole began. */
  #leave(findings: readonly Finding[], why: string, isTried: boolean): Result<Finding[][], RunOutcome> {
    const left = new Set(findings.map(({ fingerprint }) => fingerprint));
    const named = this.#whole.findings.filter(({ fingerprint }) => left.has(fingerprint));
    this.#left.push({ candidate: partOf(this.#whole, named), why, isTried });
    return ok([]);
  }
}

/** Pure. [EV211] Findings of several tools first, apart from those of one alone; then halves. */
function splitFindings(findings: readonly Finding[]): Finding[][] {
  const confirmed = findings.filter(({ others = [] }) => others.length > 0);
  const rest = findings.filter((one) => !confirmed.includes(one));
  if (confirmed.length > 0 && rest.length > 0) return [confirmed, rest];
  const half = Math.ceil(findings.length / 2);
  return [findings.slice(0, half), findings.slice(half)];
}
