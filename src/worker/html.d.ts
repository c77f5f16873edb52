/** A document as text: what wrangler makes of the import. */
declare module "*.html" {
  const text: string;
  export default text;
}
