/** Labels of letters, digits, hyphens and underscores, or an address; with or without the root's dot. */
const DOMAIN_NAME = /^(?=.{1,254}$)[\w-]{1,63}(?:\.[\w-]{1,63})*\.?$|^[\da-f:.]*:[\da-f:.]*$/i;

export function isDomainName(text: string): boolean {
  return DOMAIN_NAME.test(text);
}
