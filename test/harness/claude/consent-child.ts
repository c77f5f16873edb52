/** The user's browser, for a program that opens one: pastes the token of the environment, and follows the redirect. */
import { openForm } from "#harness/edge/oauth-keeper.ts";

const [, , address = ""] = process.argv;
const form = await openForm(fetch, new URL(address));
const answer = await form.allow(process.env["SHIM_TEST_TOKEN"] ?? "");
await fetch(answer.headers.get("location") ?? "");
