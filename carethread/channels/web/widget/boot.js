// Puts the chat on the page that loaded this script: <script src="https://…/widget.js" data-account="…" async></script>

if (!customElements.get('carethread-chat')) customElements.define('carethread-chat', CarethreadChat);

const script = document.currentScript;
const account = script?.dataset.account;
if (account && !document.querySelector(`carethread-chat[account="${CSS.escape(account)}"]`)) {
  const chat = h('carethread-chat', { account, server: new URL(script.src).origin, lang: script.dataset.lang });
  const put = () => document.body.append(chat);
  if (document.body) put();
  else document.addEventListener('DOMContentLoaded', put);
}
