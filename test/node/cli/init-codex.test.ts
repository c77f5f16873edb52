import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { aCliHome, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { putCodexInto } from "#harness/clients/fake-codex.ts";

/** A machine with Codex, whose user has settings of his own. */
function withCodex(home: CliHome): { config: string; hooks: string } {
  const folder = join(home.folder, ".codex");
  mkdirSync(folder);
  putCodexInto(join(home.folder, "path"));
  writeFileSync(join(folder, "config.toml"), '# mine\nmodel = "x"\n');
  return { config: join(folder, "config.toml"), hooks: join(folder, "hooks.json") };
}

function answering(...answers: string[]): Partial<Io> & { readonly questions: string[] } {
  const questions: string[] = [];
  const ask = async (question: string): Promise<string> => {
    questions.push(question);
    return answers.shift() ?? "";
  };
  return { isTty: true, isInteractive: true, ask, questions };
}

function acting(home: CliHome, behavior: string): Partial<Io> {
  const { machine } = home.io();
  return { machine: { ...machine, env: { ...machine.env, FAKE_CODEX: behavior } } };
}

async function trustState(home: CliHome, overrides: Partial<Io> = {}): Promise<unknown> {
  const { checks } = (await home.shimWith(overrides, "doctor --json")).json() as {
    checks: { name: string; state: string }[];
  };
  return checks.find(({ name }) => name === "codex:hook_trust")?.state;
}

it("init asks for the trust in words of its own; uninstall gives the files back @night", async () => {
  const home = aCliHome();
  const files = withCodex(home);
  const before = readFileSync(files.config, "utf8");
  const user = answering("y", "y");
  const ran = await home.shimWith(user, "init --client codex --no-link");
  expect(ran).toMatchObject(printed("SHIM is connected.", "Codex trusts SHIM's 10 hooks."));
  expect(user.questions).toEqual([
    "Change these files? [y/N] ",
    "Codex runs hooks only when you trust them. Trust SHIM's 10 hooks? [y/N] ",
  ]);
  expect(await trustState(home)).toBe("ok");
  expect(await home.shim("init --client codex --no-link")).toMatchObject(printed("Nothing to change in Codex."));
  expect(await home.shim("init --remove --client codex --yes")).toMatchObject(
    printed("Codex: MCP server, hooks, trust in hooks, slash commands"),
  );
  expect(readFileSync(files.config, "utf8")).toBe(before);
  expect(existsSync(files.hooks)).toBe(false);
  expect(await trustState(home)).toBeUndefined();
});

it("without the user's yes nothing is trusted; a later init asks for the trust alone @night", async () => {
  const home = aCliHome();
  const files = withCodex(home);
  const no = await home.shimWith(answering("y", "n"), "init --client codex --no-link");
  expect(no).toMatchObject(printed("type /hooks, and trust those of SHIM"));
  expect(readFileSync(files.config, "utf8")).not.toContain("trusted_hash");
  expect(await trustState(home)).toBe("fail");
  const user = answering("y");
  expect(await home.shimWith(user, "init --client codex --no-link")).toMatchObject(printed("Codex trusts"));
  expect(user.questions).toHaveLength(1);
  expect(await trustState(home)).toBe("ok");
});

it("--no-trust leaves it out, and --yes implies it @night", async () => {
  const home = aCliHome();
  const files = withCodex(home);
  expect((await home.shim("init --client codex --no-link --yes --no-trust")).code).toBe(0);
  expect(readFileSync(files.config, "utf8")).not.toContain("trusted_hash");
  expect((await home.shim("init --client codex --no-link --yes --json")).json()).toMatchObject({
    areHooksTrusted: true,
  });
  expect(readFileSync(files.config, "utf8")).toContain("trusted_hash");
});

it("a Codex that does not do it is no success, and doctor says whether it could be asked @night", async () => {
  const home = aCliHome();
  withCodex(home);
  const ran = await home.shimWith(acting(home, "forgets"), "init --client codex --no-link --yes");
  expect(ran).toMatchObject({
    code: 1,
    out: expect.stringContaining("does not trust SHIM's hooks: 10 untrusted") as string,
  });
  const refused = await home.shimWith(acting(home, "refuses"), "init --client codex --no-link --yes");
  expect(refused).toMatchObject({ code: 1, out: expect.stringContaining("no such method") as string });
  expect(await trustState(home, acting(home, "refuses"))).toBe("warn");
  rmSync(join(home.folder, "path", "codex"));
  expect(await trustState(home)).toBe("warn");
});

it("doctor sees a hook that another one has moved @night", async () => {
  const home = aCliHome();
  const files = withCodex(home);
  await home.shim("init --client codex --no-link --yes");
  const { hooks } = JSON.parse(readFileSync(files.hooks, "utf8")) as { hooks: Record<string, object[]> };
  const foreign = { hooks: [{ type: "command", command: "x" }] };
  writeFileSync(files.hooks, JSON.stringify({ hooks: { ...hooks, Stop: [foreign, ...(hooks["Stop"] ?? [])] } }));
  expect(await trustState(home)).toBe("fail");
});
