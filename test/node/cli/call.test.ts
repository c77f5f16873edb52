import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, failed } from "#harness/machine/cli-home.ts";

it("without a name the operations are listed, but those of a socket", async () => {
  const { out } = await aCliHome().shim("call");
  expect(out).toMatch(/^leases\.force-release +admin +Revokes a lease from its holder/m);
  expect(out).not.toContain("state.watch");
});

it("fields are read as the operation's schema says, and the answer is its output", async () => {
  const home = aCliHome();
  expect(await home.json("call state.set key=k --yes", 'value={"a":[1]}')).toEqual({ version: expect.any(Number) });
  expect(await home.json("call state.get key=k")).toMatchObject({ entry: { key: "k", value: { a: [1] } } });
  writeFileSync(join(home.project, "task.json"), '{"tasks":[{"type":"12"}]}');
  await home.json("call tasks.submit --input task.json");
  const { out } = await home.shim("call tasks.list state=queued type=12 limit=1");
  expect(JSON.parse(out)).toMatchObject({ tasks: [{ type: "12", state: "queued" }] });
});

it("an operation of a chat is called as the command line's chat", async () => {
  const home = aCliHome();
  const acquired = await home.json("call leases.acquire resource=deploy ttlMs=60000");
  expect(acquired).toMatchObject({ state: "granted", lease: { resource: "deploy", ttlMs: 60_000 } });
});

it("operations of the machine are called and listed too", async () => {
  const home = aCliHome();
  expect((await home.shim("call")).out).toMatch(/^usage\.list +machine +Tokens and cost of the chats/m);
  expect(await home.json("call config.set key=risk.levels.danger value=0.7")).toEqual({
    key: "risk.levels.danger",
    value: 0.7,
  });
  expect(await home.json("config get risk.levels.danger")).toEqual({ key: "risk.levels.danger", value: 0.7 });
  await home.misuses("call usage.list", [
    ["by=hour", "by: one of day, session, project, model, task. Such as: `shim call usage.list by=model`"],
    ["since=yesterday", "since: must be a number. Such"],
  ]);
});

it("what takes something away is done after a yes only", async () => {
  const home = aCliHome();
  await home.json("call state.set key=k value=1 --yes");
  expect(await home.shim("call state.delete key=k")).toMatchObject(failed(1, "Confirm with --yes."));
  expect(await home.json("call state.get key=k")).toMatchObject({ entry: { value: 1 } });
  expect(await home.json("call state.delete key=k --yes")).toMatchObject({ isDeleted: true });
});

it("wrong input is answered with an example, a wrong name with those like it", async () => {
  const home = aCliHome();
  await home.misuses("call state.get", [
    ["k", "Such as: `shim call state.get key=k`"],
    ["key=a key=b", "key is given twice."],
    ["", "key: is missing. Such as: "],
    ["key=a other=1", "Such as: "],
  ]);
  await home.misuses("call tasks.list", [["limit=many", "limit"]]);
  expect(await home.shim("call task.list")).toMatchObject(failed(3, "Did you mean tasks.list"));
});
