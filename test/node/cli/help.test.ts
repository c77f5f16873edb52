import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { Cli } from "#src/cli/cli.ts";
import { build, withSubcommands, wordsOf } from "#src/cli/commands/program.ts";
import { version } from "#src/platform/version.ts";
import { aCliHome, failed, printed } from "#harness/machine/cli-home.ts";

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

it("[CL270] `shim --help` shows twelve commands, and at its end how to list the others", async () => {
  const { out } = await aCliHome().shim("--help");
  const [, commands = ""] = out.split("Commands:\n");
  const names = commands.split("\n\n")[0]?.match(/^ {2}[a-z]+/gm) ?? [];
  expect(names.map((name) => name.trim())).toEqual(
    "init up sessions resume restore task worker team join cost config doctor".split(" "),
  );
  expect(out.trim().split("\n").at(-1)).toContain("`shim help --all` lists the rest");
});

it("[CL271] `shim help --all` lists every command with those below it, in groups", async () => {
  const home = aCliHome();
  const { out } = await home.shim("help --all");
  const program = await build(new Cli(home.io()), () => undefined);
  const commands = withSubcommands(program).filter((one) => one !== program);
  const names = commands.map((one) => wordsOf(one).join(" "));
  expect(names.length).toBeGreaterThan(100);
  expect(names.filter((name) => !out.includes(`\n  ${name} `))).toEqual([]);
  expect(out.split("\n").filter((line) => line.length > 100)).toEqual([]);
  for (const title of ["Commands", "Improve code", "Learn from records", "Started by clients"])
    expect(out).toMatch(new RegExp(`^${title}:$`, "m"));
});

it("[CL272] an option behind a subcommand is the subcommand's own, and `join` takes none of its subcommands for a workspace", async () => {
  const home = aCliHome();
  expect(await home.shim("sessions name x --incomplete")).toMatchObject(failed(2, "unknown option '--incomplete'"));
  expect(await home.shim("join status")).toMatchObject(printed("Coordinator: this machine"));
  expect(await home.shim("join team")).toMatchObject(failed(2, "--url"));
  expect(await home.shim("init --data")).toMatchObject(failed(2, "needs --remove"));
  expect(await home.shim("init --remove --no-link")).toMatchObject(failed(2, "cannot be used with"));
});

it("help names commands as `shim`, also where this copy is not on the PATH", async () => {
  const home = aCliHome();
  const env = { ...home.runtime.env, PATH: "/usr/bin:/bin" };
  for (const command of ["--help", "help task submit", "help worker", "help init"])
    expect((await home.shimWith({ env }, command)).out).not.toContain("shim.mjs");
});
