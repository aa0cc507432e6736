"""Operations on objects, one module each."""
