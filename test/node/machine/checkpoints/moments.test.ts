import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Trigger } from "#src/contract/checkpoint.ts";
import {
  filesAt,
  type ChangingCall,
  type FilesOfSession,
  type Moment,
  type SavedFiles,
} from "#src/machine/checkpoints/moments.ts";

type Step =
  | { readonly kind: "prompt" | "end" | "write" | "interrupt" }
  | { readonly kind: "begin"; readonly trigger: "turn" | "before_tool" | null }
  | { readonly kind: "checkpoint"; readonly trigger: Trigger; readonly delay: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<Step>({ kind: "prompt" }, { kind: "interrupt" }) },
  { weight: 4, arbitrary: fc.constantFrom<Step>({ kind: "end" }, { kind: "write" }, { kind: "write" }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("begin" as const),
      trigger: fc.constantFrom("turn" as const, "before_tool" as const, null),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("checkpoint" as const),
      trigger: fc.constantFrom<Trigger>("turn_end", "time", "compact"),
      delay: fc.nat({ max: 3 }),
    }),
  },
);

/** A chat as its journal, its snapshots and the truth: a version of the files, which each write of a running call raises. */
class Chat {
  readonly moments: Moment[] = [];
  readonly saved: SavedFiles[] = [];
  readonly calls: ChangingCall[] = [];
  readonly versions = new Map<Moment | SavedFiles, number>();
  #running: ChangingCall[] = [];
  #late: { readonly due: number; readonly from: Omit<SavedFiles, "at"> }[] = [];
  #now = 0;
  #version = 0;

  do(step: Step): void {
    this.#now += 1;
    const row = this.#now;
    if (step.kind === "prompt") {
      const moment = { number: this.moments.length + 1, at: row, text: "", seq: row };
      this.moments.push(moment);
      this.versions.set(moment, this.#version);
    } else if (step.kind === "begin") {
      const call = { start: row, startAt: row, end: Infinity, endAt: Infinity };
      this.calls.push(call);
      // The hook answers when the files are read.
      if (step.trigger) this.#save({ ...this.#checkpoint(step.trigger) }, row);
      this.#running.push(call);
    } else if (step.kind === "write") this.#version += this.#running.length > 0 ? 1 : 0;
    else if (step.kind === "end") {
      const call = this.#running.shift();
      if (call) Object.assign(call, { end: row, endAt: row });
    } else if (step.kind === "interrupt") {
      // The end of a turn ends the calls that have no end of their own.
      for (const call of this.#running) Object.assign(call, { end: row, endAt: row });
      this.#running = [];
    } else if (step.kind === "checkpoint")
      this.#late.push({ due: row + step.delay, from: this.#checkpoint(step.trigger) });
    const due = this.#late.filter((one) => one.due <= this.#now);
    this.#late = this.#late.filter((one) => one.due > this.#now);
    for (const { from } of due) this.#save(from, this.#now);
  }

  files(): FilesOfSession {
    return { moments: this.moments, saved: this.saved, calls: this.calls };
  }

  #checkpoint(trigger: Trigger): Omit<SavedFiles, "at"> {
    const facts = { repository: "", commit: "", head: null, project: "", detail: "" };
    return { ...facts, checkpointId: `cp${this.#now}`, trigger, journalSeq: this.#now, checkpointAt: this.#now };
  }

  #save(from: Omit<SavedFiles, "at">, at: number): void {
    const saved = { ...from, at };
    this.saved.push(saved);
    this.versions.set(saved, this.#version);
  }
}

it("whatever calls, checkpoints and interruptions there are, the files of a prompt are those of its moment, or none", () => {
  let found = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
      const chat = new Chat();
      for (const one of steps) chat.do(one);
      const files = chat.files();
      for (const moment of files.moments) {
        const saved = filesAt(files, moment);
        if (saved === null) continue;
        found += 1;
        expect(chat.versions.get(saved)).toBe(chat.versions.get(moment));
      }
    }),
    { numRuns: 2_000 },
  );
  expect(found).toBeGreaterThan(500);
});
