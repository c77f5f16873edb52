import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import * as files from "#src/machine/team/reservation-table.ts";
import { aCliHome, failed, holding, type CliHome } from "#harness/machine/cli-home.ts";

function reserved(home: CliHome): string[] {
  return home.runtime.store.read((sql) => files.list(sql), []).map(({ resource }) => resource.replace(/^.*?\//, ""));
}

it("shim team files reserves, lists and releases files of the project, by paths from where it runs", async () => {
  const home = aCliHome();
  mkdirSync(join(home.project, ".git"));
  mkdirSync(join(home.project, "src"));
  expect((await home.shim("team files list")).out).toBe("Nothing is reserved in this project.\n");
  const below = { cwd: join(home.project, "src") };
  const done = await home.shimWith(below, "team files reserve lexer.ts ../docs/** --for 30m");
  const scope = "The edit tools of chats respect this; writes by a shell are not detected.";
  expect(done).toMatchObject({ code: 0, out: `Reserved for 30 min: src/lexer.ts, docs/**. ${scope}\n` });
  home.now += 120_000;
  expect(await home.json("team files list")).toMatchObject({
    project: home.project,
    files: [
      { path: "docs/**", name: "shim command line", heldForMs: 120_000 },
      { path: "src/lexer.ts", chat: expect.stringMatching(/^cli-/) as string },
    ],
  });
  expect((await home.shim("team files list")).out).toMatch(
    /^PATH .*\ndocs\/\*\* +shim command line +cli-\S+ +\S+ +2 min ago\n/,
  );
  expect(reserved(home)).toEqual(["docs/**", "src/lexer.ts"]);
  expect((await home.shimWith(below, "team files release lexer.ts")).out).toBe("Released: src/lexer.ts.\n");
  expect(await home.json("team files release")).toEqual({ released: ["docs/**"] });
  expect(await home.shim("team files release")).toMatchObject({ code: 3 });
  expect(reserved(home)).toEqual([]);
});

it("several are reserved all or none; what the command line has already is prolonged", async () => {
  const home = aCliHome();
  await home.shim("team files reserve src/**");
  const refused = await home.shim("team files reserve docs/a.md src/b.ts");
  expect(refused).toMatchObject(failed(1, "has already reserved src/**, which overlaps"));
  expect(reserved(home)).toEqual(["src/**"]);
  home.now += 3_000_000;
  expect((await home.shim("team files reserve src/** docs/a.md")).code).toBe(0);
  home.now += 3_000_000;
  expect(await home.json("team files list")).toMatchObject({ files: [{ path: "docs/a.md" }, { path: "src/**" }] });
  home.now += 3_600_000;
  expect((await home.shim("team files list")).out).toContain("Nothing is reserved");
});

it("a file of another chat is refused with the holder, for how long, and how to ask", async () => {
  const home = aCliHome();
  await home.shim("team files reserve src/**");
  const [mine] = home.runtime.store.read((sql) => files.list(sql), []);
  await home.shim("team files release");
  const coordinator = home.coordinator();
  const chat = { chat: "b-chat", session: "b-chat", process: "of another machine", machine: "m2", client: "test" };
  coordinator.call("chats.register", { ...chat, metadata: { title: "write the lexer" } });
  const self = { chat: "b-chat", incarnation: 1 };
  coordinator.call("leases.acquire", { self, resource: mine!.resource, requestId: "r1", ttlMs: 3_600_000 });
  home.now += 300_000;
  const holder = 'shim: src/** is reserved by "write the lexer", chat b-chat, on m2, for 5 min.';
  const err = `${holder} Ask with \`shim team send b-chat "..."\`.\n`;
  expect(await home.shim("team files reserve docs/a.md src/b.ts")).toMatchObject({ code: 1, err });
  expect((await home.shim("team files list")).out).not.toContain("docs/a.md");
});

it("looking at reserved files makes nothing", async () => {
  const home = aCliHome();
  expect((await home.shim("team files list")).code).toBe(0);
  expect(existsSync(home.paths.home)).toBe(false);
});

it("what cannot be reserved is wrong usage, and nothing is", async () => {
  const home = aCliHome();
  await home.misuses("team files", [
    ["reserve ../other/x", /is not below/],
    ["reserve .", /"\*\*" reserves that/],
    ["reserve a.ts s*c/b", /has \* somewhere other than in its last part/],
    ["reserve a.ts --for 2h", /1s to 1h/],
    ["reserve", /missing required argument/],
  ]);
  expect(await home.shimWith({ cwd: "/" }, "team files list")).toMatchObject({ code: 2 });
  expect((await home.shim("team locks list")).out).toBe("No leases are held.\n");
});

it("on an edge the name of the project needs the workspace's key: without it nothing is asked", async () => {
  const home = aCliHome();
  home.join("http://127.0.0.1:9");
  expect(await home.shim("team files reserve a.ts")).toMatchObject(failed(1, "no key of the workspace"));
});

it("a chat in that checkout does not edit what the command line has reserved", async () => {
  const home = aCliHome();
  await home.shim("team files reserve src/*");
  home.alive.add(1_000);
  const tool = { tool_name: "Edit", tool_use_id: "t1", tool_input: { file_path: join(home.project, "src", "a.ts") } };
  const input = JSON.stringify({ session_id: "s1", cwd: home.project, ...tool });
  const answer = answerHook(home.runtime, "PreToolUse", () => input, 1_000);
  expect(answer).toEqual(holding('"permissionDecision":"deny"', "the user, by the command line"));
});
