"""What a person sees in a browser: pages of HTML, made here of what the API answers."""
