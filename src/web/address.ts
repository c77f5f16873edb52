/** @param fragment of the page's address, as `linkTo` gives it */
export function addressOf(fragment: string): { readonly view: string; readonly id: string } {
  const [, view = "", id = ""] = /^#\/([a-z]+)(?:\/(.+))?$/.exec(fragment) ?? [];
  // An address may be typed, or cut: unlike decodeURIComponent this throws at none.
  return { view: view || "fleet", id: new URLSearchParams(`id=${id}`).get("id") ?? "" };
}
