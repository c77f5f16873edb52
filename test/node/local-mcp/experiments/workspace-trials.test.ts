import { expect, it } from "vitest";
import { listNewest } from "#src/local-mcp/audit/machine-audit.ts";
import { trialsKey } from "#src/contract/trials.ts";
import { setOff } from "#src/local-mcp/experiments/machine-trials.ts";
import * as notices from "#src/store/notices.ts";
import * as totals from "#src/store/metric-totals.ts";
import { ask, given } from "#harness/coordinator/state-calls.ts";
import { aComparison, dayMs, Killed, unevenLoad, WorkspaceRig } from "#harness/experiments/workspace-rig.ts";

const elsewhere = "The review of today is done, or under way.";

function stopsOf(rig: WorkspaceRig, machine: keyof WorkspaceRig["runtimes"]): unknown {
  return rig.runtimes[machine].store.read(
    (sql) => ({
      notices: notices.list(sql).map(({ text }) => text),
      stops: totals.list(sql).find(({ name }) => name === "shim_experiment_stops_total")?.value ?? 0,
    }),
    { notices: [], stops: 0 },
  );
}

const compare = () => aComparison("equivalent");

function killAtMetrics(name: string): void {
  if (name === "metrics") throw new Killed();
}

async function deployed(): Promise<WorkspaceRig> {
  const rig = new WorkspaceRig();
  await rig.endTasks(40);
  expect(given(await rig.review())).toContain("deployed (balancingIntervalMs is 2500 for all");
  expect(await rig.setting()).toBe(2_500);
  rig.wait(dayMs);
  return rig;
}

it("[EX90] of two machines that review at the same moment one does the workspace's review of the day", async () => {
  const rig = new WorkspaceRig();
  await rig.endTasks(30);
  const [one, other] = (await Promise.all([rig.review("desk"), rig.review("laptop")])).map(given);
  const notes = [one, other];
  expect(notes).toContain(elsewhere);
  expect(notes.filter((note) => note?.includes("deployed"))).toHaveLength(1);
  expect([rig.compared, await rig.setting()]).toEqual([1, 2_500]);
  expect((await rig.trial()).steps.map(({ state }) => state)).toEqual(["proposed", "simulated", "deployed"]);
  expect(given(await rig.review("laptop"))).toBe(elsewhere);
  rig.wait(dayMs);
  expect(given(await rig.review("laptop"))).toContain("deployed");
});

it("[EX90] only with `kaizen` set to apply, and never in a dry run, anything is changed; the answer says what would be", async () => {
  const rig = new WorkspaceRig();
  const would = "Would simulate balancingIntervalMs = 2500, and set it if it is better.";
  const inReport = given(await rig.review("desk", { mode: "report" }));
  expect(inReport).toBe(`${would} \`shim config set kaizen apply\` does it.`);
  expect(given(await rig.review("desk", { isDryRun: true }))).toBe(would);
  expect(given(await rig.review("desk", { findings: [] }))).toBe("Nothing to try.");
  expect(await ask(rig.host, "state.list", {})).toMatchObject({ entries: [], revision: 0 });
  expect([rig.compared, await rig.setting()]).toEqual([0, 5_000]);
});

it("[EX90] without an admin token it is only said what would be done, and a machine with one does it that day", async () => {
  const rig = new WorkspaceRig();
  const link = rig.link("desk", { forbidden: ["settings.set", "audit.list"] });
  expect(given(await rig.review("desk", {}, link))).toMatch(/^Would simulate .*needs the admin token/);
  expect((await ask(rig.host, "state.list", {})).entries).toEqual([]);
  expect(given(await rig.review("laptop"))).toContain("deployed");
});

it("[EX91] only what the simulation finds better is set, one at a time, and not again for 30 days", async () => {
  const rig = new WorkspaceRig();
  expect(given(await rig.review("desk", { compare }))).toContain("decided (equivalent)");
  expect(await rig.setting()).toBe(5_000);
  rig.wait(dayMs);
  expect(given(await rig.review())).toBe("Nothing to try.");
  rig.wait(30 * dayMs);
  given(await rig.review());
  expect(await rig.trial()).toMatchObject({ state: "deployed", verdict: "better" });
  rig.wait(dayMs);
  const shorter = { ...unevenLoad, parameter: "startDeadlineMs", from: 30_000, to: 15_000 };
  expect(given(await rig.review("desk", { findings: [shorter] }))).toContain("balancingIntervalMs");
});

it("[EX91] a step after which a death may be noticed later, or beyond the bounds, is never taken without a person", async () => {
  const rig = new WorkspaceRig();
  const longer = { ...unevenLoad, parameter: "chatTtlMs", from: 30_000, to: 60_000, direction: "up" } as const;
  expect(given(await rig.review("desk", { findings: [longer] }))).toBe("Nothing to try.");
  expect(given(await rig.review("desk", { findings: [{ ...unevenLoad, to: null }] }))).toBe("Nothing to try.");
});

it("[EX91] a trial that another token has written into the state sets nothing that SHIM would not", async () => {
  const rig = new WorkspaceRig();
  await rig.review("desk", { compare });
  const forged = { ...(await rig.trial()), state: "proposed", key: "chatTtlMs", from: 30_000, to: 60_000 };
  await ask(rig.host, "state.set", { key: trialsKey, value: { offSince: null, trials: [forged] } as never });
  rig.wait(dayMs);
  expect(given(await rig.review())).toContain("stopped (only a person takes this step)");
  expect(await rig.setting("chatTtlMs")).toBe(30_000);
  await ask(rig.host, "state.set", { key: trialsKey, value: "anything" });
  rig.wait(dayMs);
  expect(await rig.review()).toMatchObject({ ok: false, error: { code: "trials_unreadable" } });
});

for (const when of ["before", "after"] as const)
  it(`[EX92] killed ${when} any call of a review, the next of any machine ends in the same state @night`, async () => {
    for (let at = 1; ; at += 1) {
      const rig = new WorkspaceRig();
      await rig.endTasks(30);
      const kill = (_name: string, call: number) => {
        if (call === at) throw new Killed();
      };
      const isKilled = await rig.review("desk", {}, rig.link("desk", { [when]: kill })).then(
        () => false,
        (error: unknown) => error instanceof Killed,
      );
      await expectWhole(rig);
      rig.wait(900_000);
      given(await rig.review("laptop"));
      await expectWhole(rig);
      expect([at, await rig.setting(), (await rig.trials()).trials.length]).toEqual([at, 2_500, 1]);
      if (!isKilled) break;
    }
  });

it("[EX90] [EX92] a review that another one overtakes at any call does nothing twice @night", async () => {
  for (let at = 1; ; at += 1) {
    const rigs = [new WorkspaceRig(), await deployed()] as const;
    await rigs[0].endTasks(30);
    await rigs[1].endTasks(20, "dead");
    let isOvertaken = false;
    for (const rig of rigs) {
      const overtake = async (_name: string, call: number) => {
        if (call !== at) return;
        isOvertaken = true;
        // The claim of the slow one has expired meanwhile.
        rig.wait(900_000);
        given(await rig.review("laptop", { findings: rig === rigs[0] ? [unevenLoad] : [] }));
      };
      await rig.review(
        "desk",
        { findings: rig === rigs[0] ? [unevenLoad] : [] },
        rig.link("desk", { before: overtake }),
      );
      await expectWhole(rig);
      expect([at, (await rig.trials()).trials.length]).toEqual([at, 1]);
    }
    expect([at, await rigs[0].setting(), await rigs[1].setting()]).toEqual([at, 2_500, 5_000]);
    const { entries } = await ask(rigs[1].host, "audit.list", { kind: "settings.changed" });
    expect([at, entries.length]).toEqual([at, 2]);
    if (!isOvertaken) break;
  }
});

/** The value is the new one exactly where the trial says so. */
async function expectWhole(rig: WorkspaceRig): Promise<void> {
  const [trial] = (await rig.trials()).trials;
  const isNew = trial?.state === "deployed" || trial?.state === "kept";
  expect(await rig.setting()).toBe(isNew ? 2_500 : 5_000);
}

it("[EX92] killed at any call of a rollback, the value is back with the trial, and is announced once @night", async () => {
  for (let at = 1; ; at += 1) {
    const rig = await deployed();
    await rig.endTasks(20, "dead");
    const kill = (_name: string, call: number) => {
      if (call === at) throw new Killed();
    };
    const isKilled = await rig.review("desk", {}, rig.link("desk", { after: kill })).then(
      () => false,
      (error: unknown) => error instanceof Killed,
    );
    await expectWhole(rig);
    rig.wait(900_000);
    given(await rig.review("desk", { findings: [] }));
    given(await rig.review("desk", { findings: [] }));
    expect([at, await rig.setting(), (await rig.trial()).state]).toEqual([at, 5_000, "rolled_back"]);
    expect(stopsOf(rig, "desk")).toMatchObject({ notices: [expect.stringContaining("more tasks are dead")], stops: 1 });
    if (!isKilled) break;
  }
});

it("[EX92] a value that a person has set meanwhile stays, whenever that was", async () => {
  const during = new WorkspaceRig();
  await during.endTasks(30);
  const link = during.link("desk", {
    before: (name) => (name === "settings.set" ? during.set({ balancingIntervalMs: 7_000 }) : null),
  });
  expect(given(await during.review("desk", {}, link))).toContain("stopped (balancingIntervalMs is 7000 meanwhile");
  expect(await during.setting()).toBe(7_000);

  const watched = await deployed();
  await watched.set({ balancingIntervalMs: 7_000 });
  expect(given(await watched.review("laptop"))).toContain("is 7000 meanwhile, and stays");

  const rolling = await deployed();
  await rolling.endTasks(20, "dead");
  const late = rolling.link("desk", {
    before: (name) => (name === "settings.set" ? rolling.set({ balancingIntervalMs: 7_000 }) : null),
  });
  given(await rolling.review("desk", {}, late));
  expect(await rolling.trial()).toMatchObject({ state: "stopped", violation: null });
  expect(await rolling.setting()).toBe(7_000);
  expect(stopsOf(rolling, "desk")).toEqual({ notices: [], stops: 0 });
});

it("[EX92] a machine that slept through its review does not set the value again after a person's revert", async () => {
  const rig = new WorkspaceRig();
  await rig.endTasks(30);
  const link = rig.link("desk", {
    before: async (name) => {
      if (name !== "settings.set") return;
      rig.wait(dayMs);
      given(await rig.review("laptop"));
      await rig.set({ balancingIntervalMs: 5_000 });
    },
  });
  expect(await rig.review("desk", {}, link)).toMatchObject({ ok: false, error: { code: "version_mismatch" } });
  expect(await rig.setting()).toBe(5_000);
});

it("[EX94] dead tasks beyond what was usual take the value back: audited with the reason, shown and counted once", async () => {
  const rig = await deployed();
  await rig.endTasks(12, "dead");
  expect(given(await rig.review("laptop"))).toContain("rolled back (deadTasks: 12 of 12 ended tasks are dead");
  const { id } = await rig.trial();
  expect(await rig.setting()).toBe(5_000);
  const { entries } = await ask(rig.host, "audit.list", { kind: "settings.changed" });
  expect(entries.map(({ actor, detail }) => [actor, detail])).toEqual([
    ["laptop", { reason: expect.stringContaining(`experiment ${id}, rolled_back: deadTasks`) }],
    ["desk", { reason: expect.stringContaining(`experiment ${id}, deployed`) }],
  ]);
  const text = `experiment ${id} of the workspace was stopped (more tasks are dead): balancingIntervalMs is 5000 again, not 2500.`;
  expect(stopsOf(rig, "laptop")).toEqual({ notices: [text], stops: 1 });
  expect(stopsOf(rig, "desk")).toEqual({ notices: [], stops: 0 });
  expect(listNewest(rig.runtimes.laptop, 5)).toMatchObject([
    { kind: "experiment.moved", subject: id, detail: { result: "rolled_back" } },
  ]);
  rig.wait(dayMs);
  expect(given(await rig.review("laptop"))).toBe("Nothing to try.");
  expect(stopsOf(rig, "laptop")).toMatchObject({ stops: 1 });
});

it("[EX94] a week without a violation keeps the value; what is usual violates nothing", async () => {
  const rig = await deployed();
  for (let day = 1; day <= 6; day++) {
    await rig.endTasks(10);
    given(await rig.review());
    expect([day, (await rig.trial()).state]).toEqual([day, "deployed"]);
    rig.wait(dayMs);
  }
  expect(given(await rig.review("laptop"))).toContain("kept (a week without a violation)");
  expect(await rig.setting()).toBe(2_500);
});

it("[EX94] the day's budget is a guardrail, and none is set while it is used up", async () => {
  const rig = await deployed();
  await rig.spendDay();
  expect(given(await rig.review())).toContain("rolled back (dayBudget");
  const spent = new WorkspaceRig();
  await spent.endTasks(30);
  await spent.spendDay();
  expect(given(await spent.review())).toContain("proposed");
  expect(await spent.setting()).toBe(5_000);
  spent.wait(dayMs);
  expect(given(await spent.review())).toContain("deployed");
});

it("[EX94] the value comes back also where the state has no room for the trial's end", async () => {
  const rig = await deployed();
  await rig.endTasks(20, "dead");
  await ask(rig.host, "state.set", { key: "large", value: "x".repeat(2_000) });
  await rig.set({ maxStateChars: 1_000 });
  expect(given(await rig.review())).toContain("rolled back");
  expect([await rig.setting(), (await rig.trial()).state]).toEqual([5_000, "deployed"]);
  expect(stopsOf(rig, "desk")).toMatchObject({ stops: 1 });
  await rig.set({ maxStateChars: 500_000_000 });
  rig.wait(dayMs);
  expect(given(await rig.review())).toContain("stopped (balancingIntervalMs is 5000 meanwhile");
});

it("[EX95] a machine whose trials are switched off continues none, and watches the one that is in force", async () => {
  const rig = new WorkspaceRig();
  await rig.endTasks(30);
  await expect(rig.review("desk", {}, rig.link("desk", { before: killAtMetrics }))).rejects.toThrow(Killed);
  rig.wait(dayMs);
  setOff(rig.runtimes.laptop, 1, "command line");
  expect(given(await rig.review("laptop"))).toBe("Trials are switched off.");
  expect(given(await rig.review("desk"))).toContain("deployed");
  rig.wait(dayMs);
  await rig.endTasks(20, "dead");
  expect(given(await rig.review("laptop"))).toContain("rolled back");
});
