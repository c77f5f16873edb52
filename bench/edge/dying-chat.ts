/** A chat in a process of its own: holds a lease, pings, and is ended from without. `node dying-chat.ts <url> <token> <chat>`. */
import { WireClient } from "./wire-client.ts";

const [url = "", token = "", chat = ""] = process.argv.slice(2);
const client = await WireClient.connect(url, token, chat, { isInteractive: chat.startsWith("interactive") });
await client.call("leases.acquire", { self: client.self, resource: `of-${chat}`, requestId: "r", isBound: true });
setInterval(() => void client.raw("ping"), 10_000);
console.log("holds");
