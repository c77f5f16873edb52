/** Small, so that what the opened link needs is asked for beside the page, not after it. */
import { addressOf } from "./address.ts";
import { firstReads } from "./chat/first-reads.ts";
import { readEarly } from "./local-post.ts";
import { laterViews } from "./views/later-views.ts";

const { view, id } = addressOf(location.hash);
void laterViews[view]?.();
if (view === "chat") for (const [name, input] of Object.entries(firstReads(id))) readEarly(name, input);
