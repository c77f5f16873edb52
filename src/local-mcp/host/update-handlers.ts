import { dirname, join } from "node:path";
import { programFolder } from "../../installer/own-program.ts";
import { originOf, updateCommands, findRealPath } from "../../platform/shim-command.ts";
import { version } from "../../platform/version.ts";
import { err, ok } from "../../shared/result.ts";
import type { Handlers, HostSite } from "./handlers.ts";
import type { HostResult } from "./host.ts";

/** [IP5] The only operation that asks the network for a version; it installs nothing. */
export const updateHandlers: Handlers<"updates.check"> = {
  "updates.check"({ site, paths }) {
    const latest = askNpm(site);
    if (!latest.ok) return latest;
    const { script } = site.launch;
    const origin = originOf(findRealPath(script) ?? script, programFolder(paths.home));
    const isNewer = compareVersions(latest.value, version) > 0;
    return ok({ version, latest: latest.value, isNewer, command: updateCommands[origin] });
  },
};

const question = ["view", "shim-mcp", "version", "--json", "--fetch-retries=0", "--fetch-timeout=10000"];

function askNpm({ launch, machine, runQuietly }: HostSite): HostResult<string> {
  // Windows starts npm by a script, which takes a shell; npm lies beside its Node.
  const beside = join(dirname(launch.node), "node_modules", "npm", "bin", "npm-cli.js");
  const ran = machine.exists(beside) ? runQuietly(launch.node, [beside, ...question]) : runQuietly("npm", question);
  if (ran === null)
    return err({
      code: "npm_missing",
      message: "npm was not found, and only npm is asked. Install it, or see npmjs.com.",
    });
  const latest = /"(\d+\.\d+\.\d+(?!\d)[^"\s]*)"/.exec(ran.code === 0 ? ran.text : "")?.[1];
  return latest === undefined ? failureOf(ran.text) : ok(latest);
}

function failureOf(text: string): HostResult<never> {
  if (/\bE404\b/.test(text))
    return err({ code: "not_published", message: "the registry that npm uses has no package shim-mcp." });
  if (/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED|ECONNRESET)\b/.test(text)) {
    const message = "npm does not reach its registry. Ask again with a connection; nothing else needs one.";
    return err({ code: "offline", message });
  }
  return err({ code: "npm_failed", message: `npm did not answer with a version: ${text.trim().slice(0, 300)}` });
}

/** By the numbers; a prerelease of the same numbers is not newer. */
function compareVersions(one: string, other: string): number {
  const [left = "", right = ""] = [one, other].map((text) => text.split(/[-+]/)[0]);
  return left.localeCompare(right, "en", { numeric: true });
}
