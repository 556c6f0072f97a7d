// Without this the page works all the same: it only shows the number that the slider stands at.
const slider = document.querySelector("input[type=range]");
const value = document.getElementById("value");
if (slider && value) {
  slider.addEventListener("input", () => { value.textContent = slider.value; });
}
