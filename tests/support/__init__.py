"""What tests share: files rendered and folders laid out for them, and commands called as a user calls them."""

from support import typechecking as typechecking  # jaxtyping's import hook reaches it as an attribute
