import { ok } from "../../../shared/result.ts";
import { age } from "../../../shared/format.ts";
import type { News } from "../../sessions/news.ts";
import { neutralize } from "../../text/neutralize.ts";
import { indentLines, newsText } from "../../team/news-text.ts";
import { takeNews } from "../../team/take-news.ts";
import { teamTool } from "./team-tool.ts";

export const inbox = teamTool<"shim_inbox">(async ({ chat, session, member, call }, { topics }) => {
  for (const pattern of topics ?? []) {
    const subscribed = await call("messages.subscribe", { pattern });
    if (!subscribed.ok) return subscribed;
  }
  const pulled = await member.pull();
  const { runtime } = chat;
  const now = runtime.now();
  const { rows, isMore } = takeNews(runtime, session.id);
  const missing = pulled.ok ? "" : ` The coordinator was not reached (${pulled.error.code}): there may be more.`;
  const lead = `${rows.length === 0 ? "No news." : `News: ${rows.length}.`}${isMore ? " More are waiting: call again." : ""}${missing}`;
  const texts = rows.map(({ at, news: one }) => {
    const brief = one.kind === "offer" ? `: ${indentLines(one.brief ?? "")}` : "";
    return `${age(now - at)} ago: ${newsText(one)}${brief}`;
  });
  return ok({
    message: lead,
    ...(rows.length === 0 ? {} : { quoted: { as: "news", text: texts.join("\n") } }),
    output: {
      news: rows.map((row) => Object.assign({ ageMs: now - row.at }, harmlessNews(row.news))),
      isMore,
      isComplete: pulled.ok,
    },
  });
});

/** [RE38] The brief of an offer has its own fence. */
function harmlessNews<One extends News>(one: One): One {
  const entries = Object.entries(one).map(([name, value]: [string, unknown]) => [
    name,
    typeof value === "string" && name !== "brief" ? neutralize(value) : value,
  ]);
  return Object.fromEntries(entries) as One;
}
