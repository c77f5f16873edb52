import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Claude, aProject, anotherClaude } from "#harness/machine/claude.ts";
import { aDeadChat, desktop } from "#harness/machine/mcp-client.ts";
import { type TempRuntime, tempRuntime } from "#harness/machine/temp-runtime.ts";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { shimCommand, withShimCommand } from "#src/platform/shim-command.ts";
import * as notices from "#src/store/notices.ts";
import { expect, it } from "vitest";

/** A copy of SHIM in a folder of the test, with nothing on the PATH. */
function anInstallation(folder = "app"): { runtime: TempRuntime; script: string; bin: string } {
  const home = aProject();
  const script = join(home, folder, "bin", "shim.mjs");
  const bin = join(home, "path");
  for (const path of [join(home, folder, "bin"), bin]) mkdirSync(path, { recursive: true });
  writeFileSync(script, "");
  const launch = { node: "/opt/node", script, hookScript: "" };
  return { runtime: { ...tempRuntime({ env: { PATH: bin } }), launch }, script, bin };
}

it("a path with blanks or a dollar sign can be pasted into a shell as it is printed", () => {
  const { runtime, script, bin } = anInstallation("my $app");
  expect(shimCommand(runtime)).toBe(`/opt/node '${script}'`);
  writeFileSync(join(bin, "node"), "");
  expect(shimCommand(runtime)).toBe(`node '${script}'`);
  const text = "Run `shim doctor`, not `shim` or shim doctor.";
  expect(withShimCommand(text, () => shimCommand(runtime))).toBe(
    `Run \`node '${script}' doctor\`, not \`shim\` or shim doctor.`,
  );
});

it("a link to this copy makes it `shim`, also behind npm's wrapper of Windows", () => {
  const { runtime, script, bin } = anInstallation();
  symlinkSync(script, join(bin, "shim"));
  expect(shimCommand(runtime)).toBe("shim");
  const windows = anInstallation("path/node_modules/shim-mcp");
  writeFileSync(join(windows.bin, "shim.cmd"), "");
  expect(shimCommand(windows.runtime)).toBe("shim");
});

it("answers and refusals of the tools name commands that can be typed", async () => {
  const { runtime, script } = anInstallation();
  const dead = await aDeadChat(runtime);
  const { call } = await desktop(runtime);
  const brief = await call("shim_check_recovery", { of: dead });
  expect(brief.text).not.toContain("`shim ");
  expect(brief.output["brief"]).toBe(brief.text);
  const dismissed = await call("shim_check_recovery", { of: dead, dismiss: true });
  expect(dismissed.text).toContain(`\`/opt/node ${script} resume --undo ${dead.slice(0, 12)}\`.`);
  expect(dismissed.output["message"]).toBe(dismissed.text);
  runtime.store.write((sql) => sessions.setRecovery(sql, runtime.now(), dead, "recovered", "another"));
  const refused = await call("shim_check_recovery", { of: dead, take: true });
  expect(refused.text).toContain(`\`/opt/node ${script} resume --undo ${dead}\``);
});

it("the brief and notices name commands that can be typed, for the model, the user, the tools and the status line", async () => {
  const { runtime, script } = anInstallation();
  runtime.store.write((sql) => notices.add(sql, runtime.now(), "sync", "`shim workspace status` counts such cases."));
  const typed = `\`/opt/node ${script} workspace status\``;
  const claude = new Claude(runtime, { cwd: aProject() });
  expect(claude.start()).toContain(typed);
  claude.turn("fix the parser");
  claude.kill();
  const begun = anotherClaude(runtime, claude).tell("SessionStart", { source: "startup" });
  expect(begun.systemMessage).toContain(`/opt/node ${script} resume --dismiss 20487890`);
  expect(begun.hookSpecificOutput?.additionalContext).not.toContain("`shim ");
  const { call } = await desktop(runtime);
  expect((await call("shim_session_status")).text).toContain(typed);
  expect(renderStatus(statusOf(runtime, "{}"), runtime.now())).toContain(typed);
});
