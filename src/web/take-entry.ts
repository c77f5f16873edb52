/** The page behind the link of a hand-over: says what to type, and asks for nothing. */

const isWhole = /^#[\w-]{44}\.[\w-]{22}$/;
const [command, button, said] = ["command", "copy", "said"].map((id) => document.getElementById(id));

function say(text: string): void {
  if (said) said.textContent = text;
}

function show(): void {
  const { origin, pathname, hash } = location;
  const isLink = isWhole.test(hash);
  const address = `${origin}${pathname.replace(/(?:\.html|\/)$/, "")}${hash}`;
  if (command && isLink) command.textContent = `shim take '${address}'`;
  button?.toggleAttribute("disabled", !isLink);
  say(isLink ? "" : "This is not all of the link: copy it again.");
}

async function copy(): Promise<void> {
  if (!command) return;
  try {
    await navigator.clipboard.writeText(command.textContent ?? "");
    say("Copied.");
  } catch {
    getSelection()?.selectAllChildren(command);
    say("The browser does not allow it: the command is selected.");
  }
}

show();
addEventListener("hashchange", show);
button?.addEventListener("click", () => void copy());
