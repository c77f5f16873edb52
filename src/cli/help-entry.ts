/** Program of `shim --help` and `shim --version`, which need no command: it loads none. */
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { Help } from "commander";
import { version } from "../contract/version.ts";
import { launchOf, typedCommand } from "../platform/shim-command.ts";
import { endWithoutReader } from "./end-without-reader.ts";
import { firstHelp, helpWidth } from "./listing.ts";

const { stdout, stderr, env, platform, argv } = process;

endWithoutReader();
if (["--version", "-V"].includes(argv[2] ?? "")) stdout.write(`${version}\n`);
else {
  const help = new Help();
  help.prepareContext({ helpWidth: helpWidth(stdout.isTTY ? stdout.columns || 120 : 100) });
  stdout.write(firstHelp(help));
  const source = { env, launch: launchOf(fileURLToPath(import.meta.url)) };
  const { howTo } = typedCommand(source, { platform, homedir: homedir() });
  if (howTo !== null) stderr.write(`To make \`shim\` a command, ${howTo}\n`);
}
