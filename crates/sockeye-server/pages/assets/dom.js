// Owns the small helpers both pages need to touch the document and the browser's stores.
// Strings only ever become text nodes and plain attributes here, so nothing a peer sends can turn into markup.

/**
 * Finds the element with this id, which must be of the given class.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/**
 * Makes an element with attributes and children; a child that is a string becomes text.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/**
 * Sets an element's text only when it differs, so that live regions are not announced twice.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Gives a text area the keys of a message field: Enter submits its form, Shift+Enter starts a new line, Escape empties
 * it. An Enter that only confirms an input method's suggestion is left alone.
 *
 * @param {HTMLTextAreaElement} field
 */
export function addMessageKeys(field) {
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      field.form?.requestSubmit();
    } else if (event.key === "Escape") {
      field.value = "";
    }
  });
}

/**
 * Runs an action when a form is submitted, in place of loading a page.
 *
 * @param {HTMLFormElement} form
 * @param {() => void} submit
 */
export function onSubmit(form, submit) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
}

/**
 * Turns a path of this server, or any address a person may type, into a WebSocket URL.
 *
 * @param {string} address
 * @returns {string}
 * @throws {TypeError} when the address is no URL
 */
export function webSocketUrl(address) {
  return new URL(address, location.origin).href.replace(/^http/, "ws");
}

/**
 * Copies text; answers whether it worked. The modern way needs a secure context, which `http://` on a local network
 * is not, so the old way stands by.
 *
 * @param {string} text
 * @returns {Promise<boolean>}
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const before = document.activeElement;
  const field = element("textarea", { readonly: "", class: "off-screen" }, text);
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (before instanceof HTMLElement) before.focus();
  return copied;
}

/**
 * Reads a value remembered in this browser; null where there is none or the store is switched off.
 *
 * @param {string} key
 * @returns {string | null}
 */
export function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/**
 * Remembers a value in this browser where that is allowed.
 *
 * @param {string} key
 * @param {string} value
 */
export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A blocked or full store costs a convenience and nothing else.
  }
}
