import { expect, it } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { LeaseCommandRig } from "#harness/machine/cli-rigs.ts";
import { failed } from "#harness/machine/cli-home.ts";

const forever = 'process.on("SIGTERM", () => process.exit(9)); setInterval(() => 0, 1000);';
/** With a process of its own that does not heed TERM and whose pid it writes. */
const stubborn = `const { spawn } = require("node:child_process");
  const deaf = spawn(process.execPath, ["-e", 'process.on("SIGTERM", () => 0); console.log("up"); setInterval(() => 0, 1000)']);
  deaf.stdout.once("data", () => writeFileSync(file, String(deaf.pid)));`;

function isAlive(pid: number): boolean {
  return systemProcesses.facts(pid) !== null;
}

it("a command gets the token of its lease, its exit code is passed on, and the lease is released", async () => {
  const rig = new LeaseCommandRig();
  const script = "writeFileSync(file, process.env.SHIM_LEASE_TOKEN); exitWhenAsked(7);";
  const running = rig.leaseRun(["--json"], script);
  const [token] = await rig.written();
  expect(await rig.held()).toMatchObject([{ token, holder: expect.stringMatching(/^run-/) as string }]);
  rig.askToExit();
  const ran = await running;
  expect([ran.code, ran.json()]).toEqual([7, { resource: "db", token, exitCode: 7 }]);
  expect([await rig.held(), await rig.chats()]).toEqual([[], ["ended"]]);
});

it("a lease that is not free in time is answered with 75, and the command is not started @night", async () => {
  const rig = new LeaseCommandRig();
  const running = rig.leaseRun([], 'writeFileSync(file, "1"); exitWhenAsked(0);');
  await rig.written();
  for (const options of [[], ["--wait", "0.4s"]]) {
    const late = await rig.leaseRun(options, 'writeFileSync(file, "wrong");');
    expect([options, late.code]).toEqual([options, 75]);
    expect(late.err).toMatch(/db/);
  }
  const next = rig.leaseRun(["--wait", "30s"], 'writeFileSync(file, "2");');
  rig.askToExit();
  expect([(await running).code, (await next).code, await rig.written()]).toEqual([0, 0, [2]]);
});

it("a command whose lease is lost is ended with all of its processes, and answered with 76 @night", async () => {
  const rig = new LeaseCommandRig();
  rig.graceDivisor = 100;
  const running = rig.leaseRun(["--ttl", "2s"], stubborn);
  const [deaf = 0] = await rig.written();
  await rig.forceRelease("db");
  const ran = await running;
  expect([ran.code, isAlive(deaf)]).toEqual([76, false]);
  expect(ran.err).toContain("the lease on db was lost");
  // KILL follows, since one of them ignores TERM.
  expect(rig.graces).toEqual([5_000]);
});

it("a token is checked: 0 while it is that of the lease, 76 once it is not", async () => {
  const rig = new LeaseCommandRig();
  const running = rig.leaseRun([], "writeFileSync(file, process.env.SHIM_LEASE_TOKEN); exitWhenAsked(0);");
  const [token] = await rig.written();
  const check = (given = token) => rig.home.shim("team locks check db", String(given));
  expect(await check()).toMatchObject({ code: 0, out: expect.stringContaining("db is held") as string });
  expect(await check((token ?? 0) - 1)).toMatchObject(failed(76, /held by chat run-.* with another one/));
  rig.askToExit();
  await running;
  expect(await check()).toMatchObject(failed(76, /not held/));
});

it("Ctrl-C ends the command and releases the lease; before there is a lease it starts nothing", async () => {
  const rig = new LeaseCommandRig();
  const running = rig.leaseRun([], `${forever} writeFileSync(file, "1");`);
  await rig.written();
  const waiting = rig.leaseRun(["--wait", "1h"], 'writeFileSync(file, "wrong");');
  await rig.comeChats(2);
  rig.stop.abort();
  expect([(await running).code, (await waiting).code]).toEqual([9, 130]);
  expect([await rig.written(), await rig.held(), await rig.chats()]).toEqual([[1], [], ["ended", "ended"]]);
});

it("a command runs while this process leads, knows its term, and its exit code is passed on @night", async () => {
  const rig = new LeaseCommandRig();
  const script = 'exitWhenAsked(process.env.SHIM_ELECTION === "deploy" ? 7 : 1);';
  const first = rig.lead(["--json"], script);
  const [term] = await rig.written();
  expect(await rig.home.json("call elections.observe name=deploy")).toMatchObject({ leader: { name: "deploy", term } });
  expect((await rig.home.shim("team leaders")).out).toMatch(/^ELECTION +LEADER +TERM +UNTIL\ndeploy +lead-\S+ /);
  expect(await rig.lead(["--wait", "0.2s"], "")).toMatchObject(failed(75, "deploy"));
  const next = rig.lead([], "setImmediate(() => process.exit(3))");
  rig.askToExit();
  const ran = await first;
  expect([ran.code, ran.json()]).toEqual([7, { name: "deploy", term, exitCode: 7 }]);
  expect((await next).code).toBe(3);
  const [, second = 0] = await rig.written(2);
  expect(second).toBeGreaterThan(term ?? 0);
  expect((await rig.home.shim("team leaders")).out).toBe("No election has a leader.\n");
});

it("when leadership is lost the command is ended, and it campaigns again; with --once it ends with 76 @night", async () => {
  const rig = new LeaseCommandRig();
  const running = rig.lead([], forever);
  await rig.written();
  await rig.forceRelease("leader:deploy");
  const [one = 0, two = 0] = await rig.written(2);
  expect(two).toBeGreaterThan(one);
  rig.stop.abort();
  expect(await running).toMatchObject(failed(9, /leadership of deploy was lost[^]*Campaigning again/));
  expect((await rig.home.shim("team leaders")).out).toBe("No election has a leader.\n");
});

it("Ctrl-C before it leads starts nothing; what cannot be run or asked is said", async () => {
  const rig = new LeaseCommandRig();
  const running = rig.lead([], forever);
  await rig.written();
  const waiting = rig.lead([], "");
  await rig.comeChats(2);
  rig.stop.abort();
  expect([(await running).code, (await waiting).code, (await rig.written()).length]).toEqual([9, 130, 1]);
  const fresh = new LeaseCommandRig();
  expect((await fresh.home.shimWith(fresh.real, "team leaders run deploy -- no-such-program")).code).toBe(127);
  const wrong: [string[], RegExp][] = [
    [["a b", "--", "true"], /is not an election name/],
    [["deploy"], /missing required argument 'command'/],
    [["deploy", "--", ""], /give the command after --/],
    [["deploy", "--ttl", "20m", "--", "true"], /from 1s to 10m/],
  ];
  for (const [args, problem] of wrong) {
    expect(await fresh.home.shim("team leaders run", ...args)).toMatchObject(failed(2, problem));
  }
});
