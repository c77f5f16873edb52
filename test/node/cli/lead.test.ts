import { expect, it } from "vitest";
import { CutProxy } from "#harness/edge/cut-proxy.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { LeaseCommandRig } from "#harness/machine/lease-commands.ts";
import { failed } from "#harness/machine/cli-home.ts";

const forever = 'process.on("SIGTERM", () => process.exit(9)); setInterval(() => 0, 1000);';

it("[CL100] [CL102] a command runs while this process leads, knows its term, and its exit code is passed on", async () => {
  const rig = new LeaseCommandRig();
  const script = 'exitWhenAsked(process.env.SHIM_ELECTION === "deploy" ? 7 : 1);';
  const first = rig.lead(["--json"], script);
  const [term] = await rig.written();
  const status = await rig.home.shim("lead deploy --status --json");
  expect([status.code, status.json()]).toMatchObject([0, { leader: { name: "deploy", term } }]);
  expect((await rig.home.shim("lead deploy --status")).out).toMatch(
    /^lead-\S+ on \S+ \(shim lead\) leads deploy, term/,
  );
  expect(await rig.lead(["--wait", "0.2s"], "")).toMatchObject(failed(75, "deploy"));
  const next = rig.lead([], "process.exit(3)");
  rig.askToExit();
  const ran = await first;
  expect([ran.code, ran.json()]).toEqual([7, { name: "deploy", term, exitCode: 7 }]);
  expect((await next).code).toBe(3);
  const [, second = 0] = await rig.written(2);
  expect(second).toBeGreaterThan(term ?? 0);
  expect(await rig.home.shim("lead deploy --status")).toMatchObject({ code: 3, out: "deploy has no leader.\n" });
});

it("[CL101] when leadership is lost the command is ended, and it campaigns again; with --once it ends with 76", async () => {
  const rig = new LeaseCommandRig();
  const running = rig.lead([], forever);
  await rig.written();
  await rig.forceRelease("leader:deploy");
  const [one = 0, two = 0] = await rig.written(2);
  expect(two).toBeGreaterThan(one);
  rig.stop.abort();
  const ran = await running;
  expect([ran.code, ran.err]).toEqual([9, expect.stringMatching(/leadership of deploy was lost[^]*Campaigning again/)]);
  expect((await rig.home.shim("lead deploy --status")).code).toBe(3);
});

it("[CL101] with --once a lost leadership is answered with 76", async () => {
  const rig = new LeaseCommandRig();
  const running = rig.lead(["--once"], forever);
  await rig.written();
  await rig.forceRelease("leader:deploy");
  const ran = await running;
  expect([ran.code, ran.err]).toEqual([76, expect.stringContaining("leadership of deploy was lost")]);
});

it("[CL100] Ctrl-C before it leads starts nothing; what cannot be run or asked is said", async () => {
  const rig = new LeaseCommandRig();
  const running = rig.lead([], forever);
  await rig.written();
  const waiting = rig.lead([], "");
  await expect.poll(() => rig.chats()).toHaveLength(2);
  rig.stop.abort();
  expect([(await running).code, (await waiting).code, (await rig.written()).length]).toEqual([9, 130, 1]);
  const fresh = new LeaseCommandRig();
  expect((await fresh.home.shimWith(fresh.real, "lead deploy -- no-such-program")).code).toBe(127);
  const wrong: [string[], RegExp][] = [
    [["a b", "--status"], /is not an election name/],
    [["deploy"], /give the command after --/],
    [["deploy", "--status", "--", "true"], /takes no command/],
    [["deploy", "--ttl", "20m", "--", "true"], /from 1s to 10m/],
  ];
  for (const [args, problem] of wrong) {
    expect(await fresh.home.shim("lead", ...args)).toMatchObject(failed(2, problem));
  }
});

it("[CL100] [CL101] on the edge it is the same", async () => {
  const runtime = await EdgeRuntime.open();
  const rig = new LeaseCommandRig();
  await rig.joinEdge(runtime);
  const running = rig.lead([], forever);
  const [one = 0] = await rig.written();
  expect((await rig.home.shim("lead deploy --status")).out).toMatch(/on m1/);
  expect((await rig.lead(["--wait", "0.3s"], "")).code).toBe(75);
  await rig.forceRelease("leader:deploy");
  const [, two = 0] = await rig.written(2);
  expect(two).toBeGreaterThan(one);
  rig.stop.abort();
  expect((await running).code).toBe(9);
  expect((await rig.home.shim("lead deploy --status")).code).toBe(3);
});

it("[CL101] a leader that is cut off from the edge ends its command, and leads again once the edge answers", async () => {
  const runtime = await EdgeRuntime.open();
  const proxy = await CutProxy.to(runtime.url);
  const rig = new LeaseCommandRig();
  await rig.joinEdge(runtime, proxy.url);
  const ended =
    'process.on("SIGTERM", () => { appendFileSync(file, "0\\n"); process.exit(9); }); setInterval(() => 0, 1000);';
  const running = rig.lead(["--ttl", "2s"], ended);
  const [one = 0] = await rig.written();
  proxy.cut();
  expect(await rig.written(2)).toEqual([one, 0]);
  proxy.heal();
  const [, , two = 0] = await rig.written(3);
  expect(two).toBeGreaterThan(one);
  rig.stop.abort();
  expect((await running).code).toBe(9);
});
