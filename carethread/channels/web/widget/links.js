// Text to nodes. What a message says is only ever text: the one thing made of it is a link, and only these kinds.

const URL_LIKE = /\bhttps?:\/\/[^\s<>"'`]+/giu;
const PHONE_LIKE = /(?:\+?1[\s.-]?)?(?:\(\d{3}\)\s?|\b\d{3}[\s.-])\d{3}[\s.-]\d{4}\b/gu;
const PROTOCOLS = new Set(['http:', 'https:', 'tel:']);

/** A link when `href` is one that may be followed, else plain text. */
function link(href, label) {
  let url;
  try {
    url = new URL(href);
  } catch {
    return document.createTextNode(label);
  }
  if (!PROTOCOLS.has(url.protocol)) return document.createTextNode(label);
  const anchor = document.createElement('a');
  anchor.href = url.href;
  anchor.textContent = label;
  if (url.protocol !== 'tel:') {
    anchor.target = '_blank';
    anchor.rel = 'noopener noreferrer';
  }
  return anchor;
}

/** Where `text` holds an address or a number to call, `numbers` (like 911) among them, in order. */
function findLinks(text, numbers) {
  const found = [];
  for (const match of text.matchAll(URL_LIKE)) {
    // A sentence's own punctuation is not part of the address.
    const label = match[0].replace(/[.,;:!?)\]}¡¿»”’]+$/u, '');
    found.push({ at: match.index, label, href: label });
  }
  for (const match of text.matchAll(PHONE_LIKE)) {
    const digits = match[0].replace(/\D/g, '');
    found.push({ at: match.index, label: match[0], href: `tel:+${digits.length === 10 ? '1' : ''}${digits}` });
  }
  for (const number of numbers) {
    // Not as a part of another number, or an amount.
    for (const match of text.matchAll(new RegExp(`(^|[^\\d.,$#-])${number}(?![\\d%]|[.,-]\\d)`, 'gu'))) {
      found.push({ at: match.index + match[1].length, label: number, href: `tel:${number}` });
    }
  }
  return found.sort((a, b) => a.at - b.at);
}

function linked(text, numbers) {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const { at, label, href } of findLinks(text, numbers)) {
    if (at < end) continue; // inside the one before
    fragment.append(text.slice(end, at), link(href, label));
    end = at + label.length;
  }
  fragment.append(text.slice(end));
  return fragment;
}
