import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Finding } from "#src/contract/machine/learning.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { aCliHome, aSeededHome, printed, type CliHome } from "#harness/machine/cli-home.ts";

const dayMs = 86_400_000;

/** Offers of dead sessions of the last days, all dismissed. */
function dismissOffers(home: CliHome, count: number): void {
  home.runtime.store.write((sql) => {
    for (let index = 0; index < count; index++) {
      const sessionId = `dddd${1_000 + index}-0000-4000-8000-000000000001`;
      recoveries.add(sql, { at: home.now - 60_000, session: sessionId, action: "offered" });
      recoveries.add(sql, { at: home.now, session: sessionId, action: "dismissed" });
    }
  });
}

/** Tasks whose first attempt stalls and that are then done. */
async function stallOnce(home: CliHome, type: string, count: number): Promise<void> {
  const coordinator = home.coordinator();
  home.alive.add(700);
  const process = processKey({ boot: "boot-1", pid: 700, start: "s700" });
  const chat = { chat: "c0ffee11", session: "c0ffee11", process, machine: "here", client: "claude-code", capacity: 50 };
  const { incarnation } = given(coordinator.call("chats.register", chat));
  const self = { chat: chat.chat, incarnation };
  const task = { type, backoff: { baseMs: 0 }, heartbeatMs: 1_000 };
  given(coordinator.call("tasks.submit", { tasks: Array.from({ length: count }, () => task) }));
  for (const round of ["first", "second"]) {
    const { claims } = given(coordinator.call("tasks.claim", { self, requestId: round, limit: count }));
    expect(claims).toHaveLength(count);
    if (round === "first") home.now += 2_000;
    else for (const { task: id, claim } of claims) given(coordinator.call("tasks.ack", { self, task: id, claim }));
  }
}

it("a quiet machine has nothing, and what cannot be judged is named with the cases that it needs", async () => {
  const home = aSeededHome();
  expect(await home.shim("report opportunities")).toMatchObject(
    printed(
      "Nothing found in 4 sessions of the last 30 d.\n",
      "Not judged, for want of cases:\n",
      /context_full_unseen +risk\.thresholds\.contextFill +0 +8\n/,
      /large_store +retention\.maxBytes +4 +20\n/,
    ),
  );
});

it("a finding is a paragraph with its figures and what to do; --json has all of it", async () => {
  const home = aSeededHome();
  dismissOffers(home, 12);
  expect(await home.shim("report opportunities --since 7d")).toMatchObject(
    printed(
      "Found in 4 sessions of the last 7 d:\n",
      "Offers of dead sessions are dismissed\n12 of 12 dead sessions that were offered were dismissed. That is 100 % (95 % interval 74 % to 100 %); up to 30 % is usual.",
      "They were recent ones, so a shorter offerMaxAgeMs changes nothing; `shim config set recovery ask`",
    ),
  );
  const { findings, sessions, teamProblem } = await home.json("report opportunities");
  expect([sessions, teamProblem]).toEqual([4, null]);
  expect(findings).toMatchObject([
    { id: "offers_dismissed:offerMaxAgeMs", evidence: { n: 12, windowMs: 30 * dayMs }, parameter: null, to: null },
  ]);
});

it("tasks of the team's coordinator are examined by type", async () => {
  const home = aCliHome();
  await stallOnce(home, "acme.deploy", 20);
  const { findings } = (await home.json("report opportunities")) as { findings: Finding[] };
  expect(findings.map(({ id, evidence }) => [id, evidence.n, evidence.figures["hits"]])).toEqual([
    ["task_stalls:acme.deploy", 20, 20],
  ]);
  expect((await home.shim("report opportunities")).out).toContain("Tasks of the type acme.deploy stall\n");
});

it("without a coordinator this machine is examined alone, and the reason is printed", async () => {
  const home = aSeededHome();
  dismissOffers(home, 12);
  writeFileSync(join(home.paths.home, "edge.json"), "{");
  const { code, out } = await home.shim("report opportunities");
  expect([code, out]).toEqual([0, expect.stringMatching(/Offers of dead[^]+The team was not examined: .*edge\.json/)]);
  expect(out).not.toContain("task_");
  rmSync(join(home.paths.home, "edge.json"));
});

it("the metric has the counts of the last run until its window has passed, and no subject", async () => {
  const home = aSeededHome();
  dismissOffers(home, 12);
  await stallOnce(home, "acme.deploy", 20);
  const counted = 'shim_opportunities{pattern="task_stalls"} 1\n';
  expect((await home.shim("doctor metrics")).out).not.toContain(counted);
  await home.shim("report opportunities");
  const { out } = await home.shim("doctor metrics");
  expect(out).toContain(counted);
  expect(out).toContain('shim_opportunities{pattern="offers_dismissed"} 1\n');
  expect(out).not.toContain("acme");
  home.now += 31 * dayMs;
  expect((await home.shim("doctor metrics")).out).not.toContain(counted);
});
