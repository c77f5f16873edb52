/** A process that leads until it is killed: `node leader-child.ts <url> <token>`. Says so when it does. */
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { nodePlatform } from "#src/coordinator-client/edge/platform.ts";

const [edge = "", token = ""] = process.argv.slice(2);
const opened = WorkspaceClient.open({ edge, workspace: "team", token }, nodePlatform());
if (!opened.ok) throw new Error(opened.error);
const chat = "leads-first";
await opened.value.register({ chat, session: chat, process: chat, machine: "admin", client: "test" });
const led = await opened.value.lead({ name: "plan", ttlMs: 5_000 });
if (!led.ok) throw new Error(led.error.message);
console.log("leads");
