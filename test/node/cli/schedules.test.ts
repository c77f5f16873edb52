import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aCliHome, failed, type CliHome } from "#harness/machine/cli-home.ts";
import { submit } from "#harness/worker/cli-worker.ts";

const hour = 3_600_000;

// 2023-11-14T22:13:20Z
function create(home: CliHome, options = "--name nightly --time-zone Europe/Berlin"): ReturnType<CliHome["shim"]> {
  return home.shim(`task schedules add --type build ${options}`, "0 3 * * *");
}

async function list(home: CliHome): Promise<OutputOf<"schedules.list">["schedules"]> {
  return ((await home.json("task schedules list")) as unknown as OutputOf<"schedules.list">).schedules;
}

it("a schedule is created with the options of a task, and its next three times are printed", async () => {
  const home = aCliHome();
  expect((await home.shim("task schedules list")).out).toBe("No schedules.\n");
  const options = '--payload {"x":1} --priority 7 --capability gpu --delay 30s --tag a --overlap submit';
  const created = await create(home, `--name nightly --time-zone Europe/Berlin ${options}`);
  expect(created).toMatchObject({
    code: 0,
    out: "Schedule nightly submits a task of type build, in the time of Europe/Berlin.\nNext: 2023-11-15 03:00, 2023-11-16 03:00, 2023-11-17 03:00\n",
  });
  expect(await list(home)).toMatchObject([{ overlap: "submit" }]);
  const task = { payload: { x: 1 }, priority: 7, capabilities: ["gpu"], dueInMs: 30_000, tags: ["a"] };
  home.coordinator().call("schedules.run", { name: "nightly" });
  expect(home.coordinator().call("tasks.get", { task: 1 })).toMatchObject({ ok: true, value: task });
  expect((await create(home, "--time-zone UTC --json")).json()).toMatchObject({
    schedule: { name: "build", timeZone: "UTC" },
    nextTimes: [3, 27, 51].map((hours) => Date.UTC(2023, 10, 15, hours)),
  });
  const local = (await create(home, "--name local --json")).json() as OutputOf<"schedules.create">;
  expect(local.schedule.timeZone).toBe(new Intl.DateTimeFormat().resolvedOptions().timeZone);
});

it("schedules are listed with the next time and the last result, their tasks with the schedule", async () => {
  const home = aCliHome();
  await create(home);
  await submit(home, "lint");
  expect((await home.shim("task list")).out).not.toContain("SCHEDULE");
  home.now += 5 * hour;
  const [, line] = (await home.shim("task schedules list")).out.split("\n");
  expect(line).toMatch(
    /^nightly +0 3 \* \* \* +Europe\/Berlin +build +2023-11-16 03:00 +1 +submitted 73 min ago: task 2$/,
  );
  const tasks = (await home.shim("task list")).out;
  expect(tasks).toMatch(/^TASK +SCHEDULE +STATE .*\n1 +- +queued .*\n2 +nightly +queued /);
  expect((await home.shim("task list --schedule nightly --json")).json()).toMatchObject({ tasks: [{ task: 2 }] });
  expect((await home.shim("task show 2")).out).toMatch(/^schedule: nightly$/m);
  home.now += 24 * hour;
  expect((await home.shim("task schedules list")).out).toContain("skipped 73 min ago: task 2 has not ended");
});

it("a schedule is paused, resumed, run and deleted by its name", async () => {
  const home = aCliHome();
  await create(home);
  expect((await home.shim("task schedules pause nightly")).out).toBe("Schedule nightly is paused.\n");
  expect((await home.shim("task schedules list")).out).toMatch(/ paused +0 +-$/m);
  const resumed = await home.shim("task schedules resume nightly");
  expect(resumed.out).toBe("Schedule nightly is active; next: 2023-11-15 03:00 (Europe/Berlin).\n");
  expect((await home.shim("task schedules run nightly")).out).toBe("Task 1 is queued.\n");
  expect((await home.shim("task schedules delete nightly")).out).toBe("Schedule nightly is deleted; its tasks stay.\n");
  expect(await list(home)).toEqual([]);
  const verbs = ["pause", "resume", "run", "delete"];
  expect(await home.codes(...verbs.map((verb) => `task schedules ${verb} nightly`))).toEqual([3, 3, 3, 3]);
  expect((await create(home)).code).toBe(0);
  expect(await create(home)).toMatchObject(failed(1, "there is a schedule nightly already"));
});

it("what is no schedule is wrong usage, with the reason", async () => {
  const home = aCliHome();
  await home.misuses("task schedules add --type build", [
    [["0 0 3 * * *"], "no field for seconds"],
    [["0 25 * * *"], "hour"],
    [["0 3 * * *", "--time-zone", "Nowhere/City"], "there is no time zone"],
    [["0 3 * * *", "--overlap", "queue"], "skip, submit"],
    [["0 3 * * *", "--name", "a b"], "1 to 128"],
    [["0 3 * * *", "--payload", "{x"], "is not JSON"],
    [["0 3 * * *", "--depends-on", "1"], "unknown option"],
  ]);
  expect((await home.shim("task schedules add", "0 3 * * *")).code).toBe(2);
  expect(await list(home)).toEqual([]);
});
