import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { Cli } from "#src/cli/cli.ts";
import { build, withSubcommands, wordsOf } from "#src/cli/commands/program.ts";
import { version } from "#src/contract/version.ts";
import { aCliHome, failed } from "#harness/machine/cli-home.ts";

it("prints help with the exit codes, of one command, and the version", async () => {
  const home = aCliHome();
  const help = await home.shim("--help");
  expect(help.code).toBe(0);
  expect(help.out).toContain("Exit codes:");
  expect(help.out.split("\n").length).toBeLessThanOrEqual(40);
  expect((await home.shim()).out).toBe(help.out);
  expect((await home.shim("--version")).out).toBe(`${version}\n`);
  expect((await home.shim("help resume")).out).toContain("--dismiss <session>");
  expect((await home.shim("help task submit")).out).toBe((await home.shim("task submit --help")).out);
  expect(await home.shim("help resum")).toMatchObject(failed(2, "unknown command 'resum'"));
  expect(existsSync(home.paths.home)).toBe(false);
});

it("`shim --help` shows commands in groups, one line each, and at its end how to list the others", async () => {
  const home = aCliHome();
  const { out } = await home.shim("--help");
  const names = [...out.matchAll(/^ {2}([a-z]+) +\S/gm)].map(([, name = ""]) => name);
  for (const name of ["init", "sessions", "resume", "forget", "task", "workspace"]) expect(names).toContain(name);
  for (const name of names)
    expect((await home.shim(name, "--help")).out).toMatch(new RegExp(`^Usage: shim ${name}\\b`));
  for (const title of ["Set up", "Sessions", "Work as a team"]) expect(out).toMatch(new RegExp(`^${title}:$`, "m"));
  expect(out.split("\n").filter((line) => line.length > 84)).toEqual([]);
  expect(out.trim().split("\n").at(-1)).toContain("`shim help --all` lists the rest");
});

it("a command with others below it prints its help without one, and an unknown one names the nearest", async () => {
  const home = aCliHome();
  const program = await build(new Cli(home.io()), () => undefined);
  const groups = withSubcommands(program)
    .slice(1)
    .filter((one) => one.commands.length > 0 && one.options.length === 0 && one.registeredArguments.length === 0)
    .map((one) => wordsOf(one).join(" "));
  expect(groups).toEqual(expect.arrayContaining(["task", "team locks", "workspace", "workspace token"]));
  for (const group of groups) {
    const { out } = await home.shim(group, "--help");
    expect(await home.shim(group)).toMatchObject({ code: 0, out, err: "" });
    const unknown = await home.shim(group, "frobnicate");
    expect(unknown).toMatchObject({ ...failed(2, "unknown command 'frobnicate'", `help ${group}\``), out: "" });
  }
  expect((await home.shim("workspace craete")).err).toContain("Did you mean create?");
  expect((await home.shim("workspace make")).err).toContain("create, join, leave, status");
  expect((await home.shim("workspaces")).err).toContain("Did you mean workspace?");
});

it("`shim help --all` lists every command with those below it, in groups", async () => {
  const home = aCliHome();
  const { out } = await home.shim("help --all");
  const program = await build(new Cli(home.io()), () => undefined);
  const commands = withSubcommands(program).filter((one) => one !== program);
  const names = commands.map((one) => wordsOf(one).join(" "));
  expect(names.length).toBeGreaterThan(100);
  expect(names.filter((name) => !out.includes(`\n  ${name} `))).toEqual([]);
  expect(out.split("\n").filter((line) => line.length > 100)).toEqual([]);
  for (const title of ["Set up", "Sessions", "Improve", "Started by clients"])
    expect(out).toMatch(new RegExp(`^${title}:$`, "m"));
});

it("an option behind a subcommand is the subcommand's own", async () => {
  const home = aCliHome();
  expect(await home.shim("sessions name x --incomplete")).toMatchObject(failed(2, "unknown option '--incomplete'"));
  expect(await home.shim("init --data")).toMatchObject(failed(2, "needs --remove"));
  expect(await home.shim("init --remove --no-link")).toMatchObject(failed(2, "cannot be used with"));
});

it("help names commands as `shim`, also where this copy is not on the PATH", async () => {
  const home = aCliHome();
  const env = { ...home.runtime.env, PATH: "/usr/bin:/bin" };
  for (const command of ["--help", "help task submit", "help worker", "help init"])
    expect((await home.shimWith({ env }, command)).out).not.toContain("shim.mjs");
});
